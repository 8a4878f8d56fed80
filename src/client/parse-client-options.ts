// The options of a guarded client are checked here, once, at the door: a wrong one is named with what is accepted.

import { isDeepStrictEqual } from 'node:util'
import { didYouMean } from '../shared/did-you-mean.js'
import { parseDuration, show } from '../shared/duration.js'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { parseSize } from '../shared/size.js'
import type { GuardedClientOptions, ParsedClientOptions } from './client-options.js'
import { checkHeaders, checkUrl, invalid } from './client-target.js'
import type { ReconnectQuestion } from './connection-end.js'

type DurationOption =
  | 'connectTimeout'
  | 'closeTimeout'
  | 'drainTimeout'
  | 'stableAfter'
  | 'heartbeatInterval'
  | 'heartbeatTimeout'
  | 'receiptTimeout'

export const CLIENT_DEFAULTS = {
  connectTimeout: 5_000,
  closeTimeout: 5_000,
  drainTimeout: 10_000,
  backoffMin: 250,
  backoffMax: 30_000,
  stableAfter: 5_000,
  heartbeatInterval: 20_000,
  heartbeatTimeout: 10_000,
  receiptTimeout: 30_000,
  maxPendingCount: 10_000,
  maxPendingBytes: 16 * 1024 * 1024,
  maxPayload: 1024 * 1024,
} as const

export const CLIENT_OPTION_KEYS: readonly string[] = [
  'url',
  'protocols',
  'headers',
  'tls',
  'exclusive',
  'identity',
  'connectTimeout',
  'closeTimeout',
  'drainTimeout',
  'backoff',
  'stableAfter',
  'heartbeatInterval',
  'heartbeatTimeout',
  'receiptTimeout',
  'receipts',
  'onUnconfirmed',
  'ackOf',
  'maxPending',
  'whenFull',
  'maxPayload',
  'supersededCodes',
  'afterConnect',
  'shouldReconnect',
  'ws',
] satisfies readonly (keyof GuardedClientOptions)[]

/**
 * @throws FORKSAFE_ERR_CLIENT_OPTIONS naming client, option, value and what is accepted.
 * @throws FORKSAFE_ERR_CLIENT_NO_LEASE for an exclusive client.
 */
export const parseClientOptions = (name: string, options: GuardedClientOptions): ParsedClientOptions => {
  const field = (option: string): string => `${option} of client ${show(name)}`
  checkKeys(name, options)
  if (options.exclusive !== undefined && options.exclusive !== false) {
    throw new ForksafeError(
      'FORKSAFE_ERR_CLIENT_NO_LEASE',
      `${field('exclusive')}: no lease provider is there; exclusive clients are not part of forksafe/client`,
      { details: { client: name } },
    )
  }
  if (typeof options.url !== 'function') checkUrl(field('url'), options.url)
  if (options.headers !== undefined && typeof options.headers !== 'function')
    checkHeaders(field('headers'), options.headers)
  const duration = (option: DurationOption, least = 1): number =>
    translated(() => parseDuration(field(option), options[option] ?? CLIENT_DEFAULTS[option], { min: least }))
  const choice = <Choice extends string>(option: string, given: Choice | undefined, all: readonly Choice[]) =>
    oneOf(field(option), given, all)
  const min = translated(() =>
    parseDuration(field('backoff.min'), options.backoff?.min ?? CLIENT_DEFAULTS.backoffMin, { min: 1 }),
  )
  const max = translated(() =>
    parseDuration(field('backoff.max'), options.backoff?.max ?? CLIENT_DEFAULTS.backoffMax, { min }),
  )
  const count = options.maxPending?.count ?? CLIENT_DEFAULTS.maxPendingCount
  if (!Number.isSafeInteger(count) || count < 1)
    throw invalid(field('maxPending.count'), count, 'is not a whole number above 0')
  return {
    url: options.url,
    protocols: [options.protocols ?? []].flat(),
    headers: options.headers ?? {},
    tls: options.tls ?? {},
    identity: options.identity ?? name,
    connectTimeout: duration('connectTimeout'),
    closeTimeout: duration('closeTimeout'),
    drainTimeout: duration('drainTimeout'),
    backoff: { min, max },
    stableAfter: duration('stableAfter'),
    heartbeatInterval: duration('heartbeatInterval', 0),
    heartbeatTimeout: duration('heartbeatTimeout'),
    receiptTimeout: duration('receiptTimeout'),
    receipts: choice('receipts', options.receipts, ['auto', 'require', 'off']),
    onUnconfirmed: choice('onUnconfirmed', options.onUnconfirmed, ['reject', 'resend']),
    ackOf: callable(field('ackOf'), options.ackOf),
    maxPending: {
      count,
      bytes: translated(() =>
        parseSize(field('maxPending.bytes'), options.maxPending?.bytes ?? CLIENT_DEFAULTS.maxPendingBytes, 1),
      ),
    },
    whenFull: choice('whenFull', options.whenFull, ['reject', 'wait']),
    maxPayload: translated(() =>
      parseSize(field('maxPayload'), options.maxPayload ?? CLIENT_DEFAULTS.maxPayload, 1),
    ),
    supersededCodes: closeCodes(field('supersededCodes'), options.supersededCodes ?? []),
    afterConnect: callable(field('afterConnect'), options.afterConnect),
    shouldReconnect: callable(field('shouldReconnect'), options.shouldReconnect) ?? isWorthAnotherAttempt,
    ws: options.ws ?? {},
  }
}

/** The first option in which two sets differ, or undefined. */
export const differingOption = (one: GuardedClientOptions, other: GuardedClientOptions): string | undefined =>
  CLIENT_OPTION_KEYS.find((key) => !isDeepStrictEqual(Reflect.get(one, key), Reflect.get(other, key)))

const checkKeys = (name: string, options: GuardedClientOptions): void => {
  if (typeof options !== 'object' || options === null)
    throw invalid(`options of client ${show(name)}`, options, 'is not an object')
  for (const key of Object.keys(options)) {
    if (CLIENT_OPTION_KEYS.includes(key)) continue
    const near = didYouMean(key, CLIENT_OPTION_KEYS)
    throw invalid(
      `options of client ${show(name)}`,
      key,
      `is not an option${near === undefined ? '' : `; did you mean ${near}?`}`,
    )
  }
  if (options.url === undefined)
    throw invalid(`url of client ${show(name)}`, undefined, "is missing; write url: 'wss://host/path'")
}

const FATAL_STATUSES: readonly (number | null)[] = [401, 403]
/** RFC 6455 section 7.4.1: policy violation. */
const FATAL_CLOSE_CODE = 1008

const isWorthAnotherAttempt = ({ status, code }: ReconnectQuestion): boolean =>
  !FATAL_STATUSES.includes(status) &&
  !(status !== null && status >= 300 && status < 400) &&
  code !== FATAL_CLOSE_CODE

const callable = <Hook>(field: string, value: Hook): Hook => {
  if (value !== undefined && typeof value !== 'function') throw invalid(field, value, 'is not a function')
  return value
}

/** The first is the default. */
const oneOf = <Choice extends string>(
  field: string,
  given: Choice | undefined,
  all: readonly Choice[],
): Choice => {
  const value = given ?? all[0]
  if (value !== undefined && all.includes(value)) return value
  throw invalid(field, value, `is not one of ${all.join(', ')}`)
}

const closeCodes = (field: string, codes: readonly number[]): readonly number[] => {
  const isList = Array.isArray(codes)
  if (isList && codes.every((code) => Number.isInteger(code) && code >= 1_000 && code <= 4_999)) return codes
  throw invalid(field, isList ? codes.join(', ') : codes, 'is not a list of close codes from 1000 to 4999')
}

/** Shared parsers speak of options in general; here it is a client's. */
const translated = <Value>(parse: () => Value): Value => {
  try {
    return parse()
  } catch (error) {
    throw new ForksafeError('FORKSAFE_ERR_CLIENT_OPTIONS', messageOf(error), { cause: error })
  }
}
