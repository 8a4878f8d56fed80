// The options of a guarded client, checked once at the door. docs/client.md shows them; a test compares the page.

import { isDeepStrictEqual } from 'node:util'
import type { BackoffRange } from '../shared/backoff.js'
import { didYouMean } from '../shared/did-you-mean.js'
import { type Duration, parseDuration, show } from '../shared/duration.js'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { parseSize, type Size } from '../shared/size.js'
import type { Sendable } from './connection.js'
import type { OutboxLimits } from './outbox.js'

/** What a hook may do with a connection before queued messages flow. */
export interface ClientSessionHandle {
  /** Number of the attempt. */
  readonly epoch: number
  /** The subprotocol that the server chose, or ''. */
  readonly protocol: string
  /** Aborted when the attempt is over before the hook is. */
  readonly signal: AbortSignal
  /** Writes past the queue: to authenticate, to subscribe again. */
  send(data: Sendable): Promise<void>
  /**
   * The next message of this connection that the hook has not had yet. Listeners and `messages()` get it as well.
   * Rejects when the connection ends.
   */
  receive(): Promise<string | Buffer>
}

/** What is known of an incoming message beside its data. */
export interface MessageInfo {
  isBinary: boolean
  /** The connection that it came on. */
  epoch: number
}

export type MessageId = string | number

/** What was refused or lost, for `shouldReconnect`. */
export interface ReconnectQuestion {
  /** HTTP status of a refused upgrade, else null. */
  status: number | null
  /** Close code of a connection that had been open, else null. */
  code: number | null
  reason: string
}

export type ConnectionTls = Pick<
  import('node:tls').ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized' | 'minVersion'
>

export interface GuardedClientOptions {
  /** `ws:` or `wss:`; a function is asked anew for each attempt, within its deadline. */
  url: string | URL | (() => string | URL | Promise<string | URL>)
  protocols?: string | readonly string[]
  headers?:
    | Readonly<Record<string, string>>
    | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)
  tls?: ConnectionTls
  /** Not in `forksafe/client`: it needs the lease of the root export. */
  exclusive?: boolean | 'machine' | 'fleet'
  /** What the connection stands for, in reports. Default: the client's name. */
  identity?: string
  /** For one attempt in all: url, headers, DNS, TCP, TLS, upgrade, `afterConnect`. Default 5 s. */
  connectTimeout?: Duration
  /** For the close handshake; then the socket is destroyed. Default 5 s. */
  closeTimeout?: Duration
  /** For sending and proving what is queued when the client is closed. Default 10 s. */
  drainTimeout?: Duration
  /** Wait before attempt n: `min(max, min + U(0, min * 2^n))`. Default 250 ms and 30 s. */
  backoff?: { min?: Duration; max?: Duration }
  /** Open for this long, and earlier failures are forgotten. Default 5 s. */
  stableAfter?: Duration
  /** Nothing heard for this long, and the peer is pinged. Default 20 s; 0: no heartbeat. */
  heartbeatInterval?: Duration
  /** A ping unanswered and nothing heard for this long: the connection is dead. Default 10 s. */
  heartbeatTimeout?: Duration
  /** How long the peer may take to take, prove or acknowledge what was written. Default 30 s. */
  receiptTimeout?: Duration
  /**
   * Default `auto`: a message is confirmed when the peer is proved to have it; where the peer never answers pings, when
   * it was written, after a warning. `require`: such a peer is refused. `off`: when it was written.
   */
  receipts?: 'auto' | 'require' | 'off'
  /** What was written when the connection ended, and not proved: `reject` as of unknown fate (default), or `resend`. */
  onUnconfirmed?: 'reject' | 'resend'
  /** Which messages an incoming one acknowledges, by the `id` that they were sent with. */
  ackOf?: (data: string | Buffer, info: MessageInfo) => MessageId | readonly MessageId[] | null | undefined
  /** How much may wait or be unconfirmed. Default 10,000 messages and 16 MiB. */
  maxPending?: { count?: number; bytes?: Size }
  /** A message that does not fit: `reject` it (default), or let its `send()` `wait` for room. */
  whenFull?: 'reject' | 'wait'
  /** Largest message that is taken from the upstream. Default 1 MiB. */
  maxPayload?: Size
  /** Runs on each connection before queued messages flow; if it throws, the attempt has failed. */
  afterConnect?: (session: ClientSessionHandle) => unknown
  /** Close codes by which this upstream says that another session took the place of ours, such as 4001. Default none. */
  supersededCodes?: readonly number[]
  /** Whether to try again. Default: not after 3xx, 401, 403 or close code 1008. */
  shouldReconnect?: (question: ReconnectQuestion) => boolean
  /** Passed on to `ws`; what this table names wins. */
  ws?: Readonly<Record<string, unknown>>
}

type DurationOption =
  | 'connectTimeout'
  | 'closeTimeout'
  | 'drainTimeout'
  | 'stableAfter'
  | 'heartbeatInterval'
  | 'heartbeatTimeout'
  | 'receiptTimeout'

/** The same, parsed: durations in ms, sizes in bytes. */
export interface ParsedClientOptions {
  url: GuardedClientOptions['url']
  protocols: string[]
  headers: NonNullable<GuardedClientOptions['headers']>
  tls: ConnectionTls
  identity: string
  connectTimeout: number
  closeTimeout: number
  drainTimeout: number
  backoff: BackoffRange
  stableAfter: number
  heartbeatInterval: number
  heartbeatTimeout: number
  receiptTimeout: number
  receipts: 'auto' | 'require' | 'off'
  onUnconfirmed: 'reject' | 'resend'
  ackOf: GuardedClientOptions['ackOf'] | undefined
  maxPending: OutboxLimits
  whenFull: 'reject' | 'wait'
  maxPayload: number
  supersededCodes: readonly number[]
  afterConnect: GuardedClientOptions['afterConnect'] | undefined
  shouldReconnect: (question: ReconnectQuestion) => boolean
  ws: Readonly<Record<string, unknown>>
}

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

/** @throws FORKSAFE_ERR_CLIENT_OPTIONS unless it is a ws: or wss: URL without a fragment. */
export const checkUrl = (field: string, value: unknown): URL => {
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw invalid(field, typeof value, "is not a URL; write url: 'wss://host/path'")
  }
  const url = URL.canParse(String(value)) ? new URL(String(value)) : undefined
  if (url === undefined) throw invalid(field, '(not shown)', "is not a URL; write 'wss://host/path'")
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw invalid(field, url.protocol, 'is not a WebSocket scheme; use ws: or wss:')
  if (url.hash !== '') throw invalid(field, url.hash, 'is a fragment, which a WebSocket URL must not have')
  return url
}

/** A URL as it may stand in a message: without user, password and query. */
export const withoutSecrets = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

export const checkHeaders = (
  field: string,
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> => {
  if (typeof headers !== 'object' || headers === null)
    throw invalid(field, typeof headers, 'is not an object of header names and values')
  for (const [header, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(header)) throw invalid(field, header, 'is not a header name')
    // The value may be a secret: it is not shown. Allowed are tab and what Latin-1 prints (RFC 9110 section 5.5).
    if (typeof value !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw invalid(field, header, 'has a value with characters that a header must not hold')
  }
  return headers
}

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

const invalid = (field: string, value: unknown, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_CLIENT_OPTIONS', `${field}: ${show(value)} ${why}`, { details: { field } })
