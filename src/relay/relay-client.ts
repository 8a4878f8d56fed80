// What the relay uses of a guarded client, and how it reads what the client says of ends and failures.

import type { ClientEvents } from '../client/client-events.js'
import type { Sendable } from '../client/connection.js'
import type { ReconnectQuestion } from '../client/connection-end.js'
import type { ConnectOptions } from '../client/guarded-client.js'
import type { Receipt, SendOptions } from '../client/send-options.js'
import { type ErrorCode, ForksafeError, messageOf } from '../shared/errors.js'
import type { SendFailure } from './forwarder-effects.js'

/** What the forwarder uses of a guarded client. */
export interface RelayClient {
  connect(options?: ConnectOptions): Promise<void>
  send(data: Sendable, options?: SendOptions): Promise<Receipt>
  close(): Promise<void>
  terminate(): Promise<void>
  on(event: 'opened', listener: (...payload: ClientEvents['opened']) => void): unknown
  on(event: 'lost', listener: (...payload: ClientEvents['lost']) => void): unknown
  on(event: 'refused', listener: (...payload: ClientEvents['refused']) => void): unknown
  on(event: 'superseded', listener: (...payload: ClientEvents['superseded']) => void): unknown
  on(event: 'waiting', listener: (...payload: ClientEvents['waiting']) => void): unknown
}

/**
 * For the client's `shouldReconnect`: it goes on by itself while attempts fail, and gives up when an open connection ends,
 * so that the forwarder has all that was not proved back and decides anew. A refusal for good is asked again later.
 */
export const isWorthAnotherAttempt = ({ status, code }: ReconnectQuestion): boolean =>
  code === null && !FINAL_STATUSES.includes(status) && !(status !== null && status >= 300 && status < 400)

const FINAL_STATUSES: readonly (number | null)[] = [401, 403]

/** What a rejected `send()` says of its message. */
export const failureOf = (error: unknown): Omit<SendFailure, 'entry'> => {
  const code = error instanceof ForksafeError ? error.code : null
  const wasWritten = code === 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'
  const isBack = wasWritten || (code !== null && COMES_BACK.has(code))
  return { wasWritten, unsendable: isBack ? null : messageOf(error) }
}

/** Never written, and nothing is wrong with the message. */
const COMES_BACK: ReadonlySet<ErrorCode> = new Set([
  'FORKSAFE_ERR_CLIENT_NOT_SENT',
  'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED',
  'FORKSAFE_ERR_CLIENT_SUPERSEDED',
  'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
  'FORKSAFE_ERR_CLIENT_CLOSED',
])
