// The options of a protected resource, checked once at the door. docs/protect.md shows them; a test compares the page.

import { isDeepStrictEqual } from 'node:util'
import { didYouMean } from '../shared/did-you-mean.js'
import { type Duration, parseDuration, show } from '../shared/duration.js'
import { ForksafeError, messageOf } from '../shared/errors.js'

export interface ProtectOptions<Value> {
  /** Opens it. `signal` is aborted when `openTimeout` is over or nobody wants it any more; what comes later is closed. */
  open: (how: { signal: AbortSignal }) => Value | PromiseLike<Value>
  /** Closes it and settles when it is closed. */
  close: (resource: Value) => unknown
  /** Finishes what is under way, before `close`. `signal` is aborted when `drainTimeout` is over. */
  drain?: (resource: Value, how: { signal: AbortSignal }) => unknown
  /** For `open`. Default 10 s. */
  openTimeout?: Duration
  /** For `close`; then it is given up. Default 5 s. */
  closeTimeout?: Duration
  /** For `drain`; then it is closed. Default 10 s. */
  drainTimeout?: Duration
}

/** The same, parsed: durations in ms. */
export interface ParsedProtectOptions<Value> {
  open: ProtectOptions<Value>['open']
  close: ProtectOptions<Value>['close']
  drain: ProtectOptions<Value>['drain'] | undefined
  openTimeout: number
  closeTimeout: number
  drainTimeout: number
}

const DEFAULTS = { openTimeout: 10_000, closeTimeout: 5_000, drainTimeout: 10_000 } as const

export const PROTECT_OPTION_KEYS: readonly string[] = [
  'open',
  'close',
  'drain',
  'openTimeout',
  'closeTimeout',
  'drainTimeout',
] satisfies readonly (keyof ProtectOptions<unknown>)[]

/** @throws FORKSAFE_ERR_RESOURCE_OPTIONS naming resource, option, value and what is accepted. */
export const parseProtectOptions = <Value>(
  name: string,
  options: ProtectOptions<Value>,
): ParsedProtectOptions<Value> => {
  checkKeys(name, options)
  const field = (option: string): string => `${option} of protected resource ${show(name)}`
  const { open, close, drain } = options
  for (const [option, hook] of Object.entries({ open, close, drain })) {
    if (typeof hook === 'function' || (option === 'drain' && hook === undefined)) continue
    throw invalid(field(option), hook, 'is not a function; write protect(name, { open, close })')
  }
  const duration = (option: keyof typeof DEFAULTS): number => {
    try {
      return parseDuration(field(option), options[option] ?? DEFAULTS[option], { min: 1 })
    } catch (error) {
      throw new ForksafeError('FORKSAFE_ERR_RESOURCE_OPTIONS', messageOf(error), { cause: error })
    }
  }
  return {
    open,
    close,
    drain,
    openTimeout: duration('openTimeout'),
    closeTimeout: duration('closeTimeout'),
    drainTimeout: duration('drainTimeout'),
  }
}

/** The first option in which two sets differ, or undefined. Functions are the same if they are the same object. */
export const differingProtectOption = (one: object, other: object): string | undefined =>
  PROTECT_OPTION_KEYS.find((key) => !isDeepStrictEqual(Reflect.get(one, key), Reflect.get(other, key)))

const checkKeys = (name: string, options: object): void => {
  const field = `options of protected resource ${show(name)}`
  if (typeof options !== 'object' || options === null) throw invalid(field, options, 'is not an object')
  for (const key of Object.keys(options)) {
    if (PROTECT_OPTION_KEYS.includes(key)) continue
    const near = didYouMean(key, PROTECT_OPTION_KEYS)
    throw invalid(field, key, `is not an option${near === undefined ? '' : `; did you mean ${near}?`}`)
  }
}

const invalid = (field: string, value: unknown, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RESOURCE_OPTIONS', `${field}: ${show(value)} ${why}`, {
    details: { field },
  })
