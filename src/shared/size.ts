// Sizes: at the door a number of bytes or a string like '512M', inside always plain bytes.

import { show } from './duration.js'
import { ForksafeError } from './errors.js'

/** A number of bytes, or a number with a unit: `64K`, `512M`, `2G` (powers of 1024). */
export type Size = number | string

const UNIT: Record<string, number> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }

/** @throws FORKSAFE_ERR_OPTION_INVALID naming field, value and what is accepted. */
export const parseSize = (field: string, value: unknown, min = 0): number => {
  const bytes = toBytes(value)
  if (bytes !== undefined && bytes >= min && bytes <= Number.MAX_SAFE_INTEGER) return bytes
  throw new ForksafeError(
    'FORKSAFE_ERR_OPTION_INVALID',
    `${field}: ${show(value)} is not a size of at least ${min} bytes; write bytes or a unit, such as 4096, '64K', '512M', '2G'`,
    { details: { field, value: show(value) } },
  )
}

const toBytes = (value: unknown): number | undefined => {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = /^(\d{1,12})([KMG])?i?B?$/i.exec(value.trim())
  return match ? Number(match[1]) * (UNIT[(match[2] ?? '').toUpperCase()] ?? 1) : undefined
}
