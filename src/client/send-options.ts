// What send() is given, checked at the door, and the receipt that it answers with.

import { type Duration, parseDuration, show } from '../shared/duration.js'
import { messageOf } from '../shared/errors.js'
import type { ClientErrors } from './client-error.js'
import type { MessageId, MessageInfo, ParsedClientOptions } from './client-options.js'
import type { Sendable } from './connection.js'
import type { Environment } from './environment.js'
import type { ReceiptLevel } from './outbox.js'

/** Proof of what became of a message. */
export interface Receipt {
  /**
   * `written`: the kernel took it while the connection was alive. `received`: the endpoint that ends this WebSocket
   * connection has read it. `processed`: the upstream's application has acknowledged it.
   */
  level: ReceiptLevel
  /** Number of the connection that it went over. */
  epoch: number
  /** ms from `send()` to the receipt. */
  rtt: number
}

export interface SendOptions {
  /** What has to be proved. Default `received`, where the peer can prove that (option `receipts`). */
  level?: ReceiptLevel
  /** For all of it: to be sent and proved. Default: no bound of its own. */
  timeout?: Duration
  /** Not to be written after this time: a Date, or ms since 1970. */
  expiresAt?: Date | number
  /** Aborting rejects this call. What was not written then is not sent. */
  signal?: AbortSignal
  /** By which the option `ackOf` knows it. Needed for `processed`, unless `isAck` is given. */
  id?: MessageId
  /** Whether an incoming message acknowledges this one. */
  isAck?: (data: string | Buffer, info: MessageInfo) => boolean
  /** Default: the client's option of that name. */
  whenFull?: 'reject' | 'wait'
}

/** The same, checked; times on the session's clock. */
export interface ParsedSend {
  bytes: number
  level: ReceiptLevel
  /** Whether the sender insists on that level. */
  isLevelFixed: boolean
  timeout: number | null
  expiresAt: number | null
}

export interface SendContext {
  readonly options: ParsedClientOptions
  readonly environment: Environment
  readonly error: ClientErrors
  /** Whether a message of this id waits for its acknowledgement. */
  isAwaited(id: MessageId): boolean
}

export const NO_OPTIONS: SendOptions = {}

/** @throws FORKSAFE_ERR_CLIENT_MESSAGE_INVALID, FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE. */
export const parseSend = (data: Sendable, given: SendOptions, context: SendContext): ParsedSend => {
  const { level, timeout, expiresAt } = given
  if (level !== undefined) checkLevel(level, given, context)
  return {
    bytes: sizeOf(data, context),
    level: level ?? (context.options.receipts === 'off' ? 'written' : 'received'),
    isLevelFixed: level !== undefined,
    timeout: timeout === undefined ? null : parseTimeout(timeout, context),
    expiresAt: expiresAt === undefined ? null : parseExpiry(expiresAt, context),
  }
}

const checkLevel = (level: ReceiptLevel, { id, isAck }: SendOptions, context: SendContext): void => {
  const { options, error, isAwaited } = context
  if (!LEVELS.includes(level))
    throw invalid(context, `level ${show(level)} is not one of ${LEVELS.join(', ')}`)
  if (level === 'received' && options.receipts === 'off')
    throw error(
      'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
      "send() with level 'received': this client has receipts: 'off'; use 'auto' or 'require'",
    )
  if (level !== 'processed') return
  if (options.exclusive && (id === undefined || options.ackOf === undefined))
    throw invalid(
      context,
      "level 'processed' of an exclusive client needs an id and the client's option ackOf: another process may hold the connection, and cannot be handed isAck",
    )
  if (isAck === undefined && (id === undefined || options.ackOf === undefined))
    throw invalid(context, "level 'processed' needs isAck, or an id and the client's option ackOf")
  if (id !== undefined && isAwaited(id))
    throw invalid(context, `id ${show(id)} is in use by a message that is not acknowledged yet`)
}

const parseTimeout = (timeout: Duration, context: SendContext): number => {
  try {
    return parseDuration('timeout of send()', timeout, { min: 1 })
  } catch (error) {
    throw invalid(context, messageOf(error))
  }
}

const parseExpiry = (expiresAt: Date | number, context: SendContext): number => {
  const { environment } = context
  const at = Number(expiresAt)
  if (Number.isNaN(at)) throw invalid(context, 'expiresAt is neither a Date nor ms since 1970')
  return environment.now() + (at - environment.wallNow())
}

export const sizeOfData = (data: Sendable): number =>
  typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength

const sizeOf = (data: unknown, context: SendContext): number => {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer) return data.byteLength
  const kind = data === null ? 'null' : typeof data
  throw invalid(
    context,
    `send() takes a string, a Buffer, a typed array or an ArrayBuffer, not ${kind}; use JSON.stringify() for an object`,
  )
}

const invalid = ({ error }: SendContext, why: string): Error =>
  error('FORKSAFE_ERR_CLIENT_MESSAGE_INVALID', why)

const LEVELS: readonly ReceiptLevel[] = ['written', 'received', 'processed']
