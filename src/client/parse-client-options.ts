// The options of a guarded client are checked here, once, at the door: a wrong one is named with what is accepted.

import { isDeepStrictEqual } from 'node:util'
import { didYouMean } from '../shared/did-you-mean.js'
import { type Duration, parseDuration, show } from '../shared/duration.js'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { leaseProvider } from '../shared/lease-provider.js'
import { parseSize, type Size } from '../shared/size.js'
import { checkName } from './check-name.js'
import type { GuardedClientOptions, ParsedClientOptions } from './client-options.js'
import { checkHeaders, checkUrl, invalid } from './client-target.js'
import type { ReconnectQuestion } from './connection-end.js'

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
  'fanout',
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
 * @throws FORKSAFE_ERR_CLIENT_NO_LEASE: exclusive in a way that nobody here can provide.
 */
export const parseClientOptions = (name: string, options: GuardedClientOptions): ParsedClientOptions => {
  checkKeys(name, options)
  const read = new OptionReader(name)
  const exclusive = read.exclusive(options.exclusive)
  if (options.fanout === true && !exclusive)
    throw invalid(
      read.field('fanout'),
      true,
      'needs exclusive: true; without it every process has a connection of its own',
    )
  if (typeof options.url !== 'function') checkUrl(read.field('url'), options.url)
  if (options.headers !== undefined && typeof options.headers !== 'function')
    checkHeaders(read.field('headers'), options.headers)
  const min = read.duration('backoff.min', options.backoff?.min, CLIENT_DEFAULTS.backoffMin)
  const least = Math.max(min, CLIENT_DEFAULTS.backoffMax)
  return {
    url: options.url,
    protocols: [options.protocols ?? []].flat(),
    headers: options.headers ?? {},
    tls: read.object('tls', options.tls),
    exclusive,
    fanout: read.choice('fanout', options.fanout, [false, true]),
    identity: read.identity(options.identity, name),
    connectTimeout: read.duration('connectTimeout', options.connectTimeout, CLIENT_DEFAULTS.connectTimeout),
    closeTimeout: read.duration('closeTimeout', options.closeTimeout, CLIENT_DEFAULTS.closeTimeout),
    drainTimeout: read.duration('drainTimeout', options.drainTimeout, CLIENT_DEFAULTS.drainTimeout),
    backoff: { min, max: read.duration('backoff.max', options.backoff?.max, least, min) },
    stableAfter: read.duration('stableAfter', options.stableAfter, CLIENT_DEFAULTS.stableAfter),
    heartbeatInterval: read.duration(
      'heartbeatInterval',
      options.heartbeatInterval,
      CLIENT_DEFAULTS.heartbeatInterval,
      0,
    ),
    heartbeatTimeout: read.duration(
      'heartbeatTimeout',
      options.heartbeatTimeout,
      CLIENT_DEFAULTS.heartbeatTimeout,
    ),
    receiptTimeout: read.duration('receiptTimeout', options.receiptTimeout, CLIENT_DEFAULTS.receiptTimeout),
    receipts: read.choice('receipts', options.receipts, ['auto', 'require', 'off']),
    onUnconfirmed: read.choice('onUnconfirmed', options.onUnconfirmed, ['reject', 'resend']),
    ackOf: read.hook('ackOf', options.ackOf),
    maxPending: {
      count: read.count('maxPending.count', options.maxPending?.count, CLIENT_DEFAULTS.maxPendingCount),
      bytes: read.size('maxPending.bytes', options.maxPending?.bytes, CLIENT_DEFAULTS.maxPendingBytes),
    },
    whenFull: read.choice('whenFull', options.whenFull, ['reject', 'wait']),
    maxPayload: read.size('maxPayload', options.maxPayload, CLIENT_DEFAULTS.maxPayload, LARGEST_PAYLOAD),
    supersededCodes: read.closeCodes('supersededCodes', options.supersededCodes),
    afterConnect: read.hook('afterConnect', options.afterConnect),
    shouldReconnect: read.hook('shouldReconnect', options.shouldReconnect) ?? isWorthAnotherAttempt,
    ws: read.object('ws', options.ws),
  }
}

/** Reads one option at a time. What was not given is not looked at: clients may be made by the thousand. */
class OptionReader {
  readonly #client: string

  constructor(client: string) {
    this.#client = client
  }

  field(option: string): string {
    return `${option} of client ${show(this.#client)}`
  }

  exclusive(given: GuardedClientOptions['exclusive']): boolean {
    const scope = this.choice('exclusive', given, [false, true, 'machine', 'fleet'])
    if (scope === false) return false
    const noLease = (why: string): ForksafeError =>
      new ForksafeError('FORKSAFE_ERR_CLIENT_NO_LEASE', `${this.field('exclusive')}: ${why}`, {
        details: { client: this.#client },
      })
    if (scope === 'fleet') throw noLease("'fleet' is not there yet; 'machine' holds on one machine")
    if (leaseProvider() === undefined)
      throw noLease(
        "no lease can be had here; import { guardedClient } from 'forksafe', not from 'forksafe/client'",
      )
    return true
  }

  duration(option: string, given: Duration | undefined, fallback: number, least = 1): number {
    if (given === undefined) return fallback
    return translated(() => parseDuration(this.field(option), given, { min: least }))
  }

  size(option: string, given: Size | undefined, fallback: number, most = Number.MAX_SAFE_INTEGER): number {
    if (given === undefined) return fallback
    const bytes = translated(() => parseSize(this.field(option), given, 1))
    if (bytes <= most) return bytes
    throw invalid(this.field(option), given, `is more than ${most} bytes`)
  }

  count(option: string, given: number | undefined, fallback: number): number {
    if (given === undefined) return fallback
    if (Number.isSafeInteger(given) && given >= 1) return given
    throw invalid(this.field(option), given, 'is not a whole number above 0')
  }

  /** The first is the default. */
  choice<Choice extends string | boolean>(
    option: string,
    given: Choice | undefined,
    all: readonly [Choice, ...Choice[]],
  ): Choice {
    if (given === undefined) return all[0]
    if (all.includes(given)) return given
    throw invalid(this.field(option), given, `is not one of ${all.join(', ')}`)
  }

  hook<Hook>(option: string, given: Hook): Hook {
    if (given === undefined || typeof given === 'function') return given
    throw invalid(this.field(option), given, 'is not a function')
  }

  object<Value extends object>(option: string, given: Value | undefined): Value {
    if (given === undefined) return {} as Value
    if (typeof given === 'object' && given !== null) return given
    throw invalid(this.field(option), given, 'is not an object')
  }

  /** It stands in records, logs and tables, as a name does. */
  identity(given: string | undefined, fallback: string): string {
    if (given !== undefined) checkName(given, this.field('identity'), 'FORKSAFE_ERR_CLIENT_OPTIONS')
    return given ?? fallback
  }

  closeCodes(option: string, given: readonly number[] | undefined): readonly number[] {
    if (given === undefined) return []
    const isList = Array.isArray(given)
    const isCode = (code: number): boolean => Number.isInteger(code) && code >= 1_000 && code <= 4_999
    if (isList && given.every(isCode)) return given
    const value = isList ? given.join(', ') : given
    throw invalid(this.field(option), value, 'is not a list of close codes from 1000 to 4999')
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
/** `ws` keeps it in 32 bits, and takes what does not fit into them for no limit at all. */
const LARGEST_PAYLOAD = 2 ** 31 - 1
/** RFC 6455 section 7.4.1: policy violation. */
const FATAL_CLOSE_CODE = 1008

const isWorthAnotherAttempt = ({ status, code }: ReconnectQuestion): boolean =>
  !FATAL_STATUSES.includes(status) &&
  !(status !== null && status >= 300 && status < 400) &&
  code !== FATAL_CLOSE_CODE

/** Shared parsers speak of options in general; here it is a client's. */
const translated = <Value>(parse: () => Value): Value => {
  try {
    return parse()
  } catch (error) {
    throw new ForksafeError('FORKSAFE_ERR_CLIENT_OPTIONS', messageOf(error), { cause: error })
  }
}
