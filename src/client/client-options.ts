// The options of a guarded client, as they are given and as they are used. docs/client.md shows them; a test compares the
// page. They are checked once, at the door: parse-client-options.ts.

import type { BackoffRange } from '../shared/backoff.js'
import type { Duration } from '../shared/duration.js'
import type { Size } from '../shared/size.js'
import type { Sendable } from './connection.js'
import type { ReconnectQuestion } from './connection-end.js'
import type { OutboxLimits } from './outbox.js'

/** What is known of an attempt before it is made. */
export interface AttemptInfo {
  /**
   * Of an exclusive client the epoch of its lease: larger than that of every holder before. An upstream that refuses
   * smaller ones than the largest it has seen makes "at most one" hold without any condition. Otherwise null.
   */
  readonly fencingToken: number | null
}

/** What a hook may do with a connection before queued messages flow. */
export interface ClientSessionHandle {
  /** Number of the attempt. */
  readonly epoch: number
  /** As in {@link AttemptInfo}. */
  readonly fencingToken: number | null
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

export type ConnectionTls = Pick<
  import('node:tls').ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized' | 'minVersion'
>

export interface GuardedClientOptions {
  /** `ws:` or `wss:`; a function is asked anew for each attempt, within its deadline. */
  url: string | URL | ((attempt: AttemptInfo) => string | URL | Promise<string | URL>)
  protocols?: string | readonly string[]
  headers?:
    | Readonly<Record<string, string>>
    | ((attempt: AttemptInfo) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)
  tls?: ConnectionTls
  /**
   * At most one connection of this `identity` on this machine, whoever opens it: one process holds it, the others of the
   * same supervisor hand it their messages and stand by. `true` is `'machine'`. Needs `forksafe`, not `forksafe/client`.
   */
  exclusive?: boolean | 'machine' | 'fleet'
  /** Exclusive: what comes in goes to every worker, not to the holder alone. Default false. */
  fanout?: boolean
  /** What the connection stands for: what is exclusive, and in reports. Default: the client's name. */
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

/** The same, parsed: durations in ms, sizes in bytes. */
export interface ParsedClientOptions {
  url: GuardedClientOptions['url']
  protocols: string[]
  headers: NonNullable<GuardedClientOptions['headers']>
  tls: ConnectionTls
  exclusive: boolean
  fanout: boolean
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
