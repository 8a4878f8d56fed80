// Durations: at the door a number of ms or a string like '30s', inside always plain ms.

import { ForksafeError } from './errors.js'

/** A number of milliseconds, or a number with a unit: `250ms`, `30s`, `5m`, `1h`. */
export type Duration = number | string

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Node fires a timer with a longer delay at once; so nothing longer is accepted. About 24.8 days. */
export const MAX_DURATION = 2 ** 31 - 1

export interface DurationBounds {
  /** Smallest accepted value in ms. Default 0. */
  min?: number
  /** Largest accepted value in ms. Default and limit: {@link MAX_DURATION}. */
  max?: number
}

/**
 * Parses a duration to whole milliseconds.
 *
 * @param field names the option in the error, as the user wrote it.
 * @throws FORKSAFE_ERR_OPTION_INVALID naming field, value and what is accepted.
 */
export const parseDuration = (field: string, value: unknown, bounds: DurationBounds = {}): number => {
  const { min = 0, max = MAX_DURATION } = bounds
  const ms = toMs(value)
  if (ms === undefined) {
    throw invalid(
      field,
      value,
      `is not a duration; write ms or a unit, such as 500, '250ms', '30s', '5m', '1h'`,
    )
  }
  if (ms < min || ms > max) {
    throw invalid(field, value, `is out of range; use ${formatDuration(min)} to ${formatDuration(max)}`)
  }
  return ms
}

/** `1500` as `1.5s`; the shortest text that {@link parseDuration} reads back. */
export const formatDuration = (ms: number): string => {
  for (const unit of ['h', 'm', 's'] as const) {
    const size = UNIT_MS[unit] ?? 1
    if (ms >= size && Number.isInteger((ms / size) * 10)) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}

const toMs = (value: unknown): number | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.round(value) : undefined
  if (typeof value !== 'string') return undefined
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h)?$/.exec(value.trim())
  if (!match) return undefined
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? 'ms'] ?? 1))
}

const invalid = (field: string, value: unknown, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', `${field}: ${show(value)} ${why}`, {
    details: { field, value: show(value) },
  })

/** A value as it may stand in an error: one line, bounded, control characters escaped. */
export const show = (value: unknown): string => {
  const text = typeof value === 'string' ? JSON.stringify(value) : Object.is(value, -0) ? '-0' : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
