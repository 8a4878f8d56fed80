// What those who read the settings of a relay have in common: where these stand, and which keys there are.

import { didYouMean } from './did-you-mean.js'
import { ForksafeError } from './errors.js'
import { isPrototypeKey } from './option-values.js'

export interface RelayContext {
  /** What stands at a path such as `to.feed.url`, or at none, as its author wrote it. */
  field: (path: string) => string
  /** What relative paths are relative to. */
  folder: string
  /** The supervisor's name. */
  name: string
  env: NodeJS.ProcessEnv
  /** How many workers there are where the relay is all that runs; else `workers` of the relay says it. */
  workers?: number
}

export type RawRelay = Readonly<Record<string, unknown>>

export const checkKeys = (
  raw: RawRelay,
  known: readonly string[],
  under: string,
  field: RelayContext['field'],
): void => {
  for (const key of Object.keys(raw)) {
    if (known.includes(key)) continue
    const near = didYouMean(key, known)
    const why = isPrototypeKey(key)
      ? 'is not allowed as a key; remove it'
      : near === undefined
        ? `is not a setting of it; there are ${known.join(', ')}`
        : `is not a setting of it; did you mean ${near}?`
    throw new ForksafeError('FORKSAFE_ERR_OPTION_UNKNOWN', `${field(under)}: ${JSON.stringify(key)} ${why}`, {
      details: { field: field(under), key },
    })
  }
}
