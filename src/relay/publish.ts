// publish(): hands a message to the resident relay and returns when it is safe on its disk. For whoever must not hold a
// connection to the upstream: a cron script, an HTTP handler. It opens no WebSocket; the relay does (docs/relay.md).

import { ForksafeError } from '../shared/errors.js'
import { exchange } from './exchange.js'
import type { DeliveryReceipt, FateState } from './messages.js'
import {
  type BatchMessage,
  batchRequest,
  type CallOptions,
  type Message,
  messageRequest,
  type PublishOptions,
} from './publish-options.js'

export interface Published {
  id: string
  /** `queued`: on disk and will be sent. Others: what became of it within `wait`, or before, of a repetition. */
  state: FateState
  /** Proof of delivery. */
  receipt?: DeliveryReceipt
  /** Why it was parked. */
  reason?: string
  /** One of the same id and content had been taken before; nothing was added. */
  duplicate?: true
}

/** Of one message of a batch, in its place. */
export type BatchResult =
  | { id: string; state: FateState; duplicate?: true }
  | { id: string; error: { code: string; detail: string; retryAfter?: number } }

/**
 * Settles when the relay has it on disk; with `wait` when its fate is known or that time is up.
 *
 * A relay that is not there (a restart) or has no room is asked again within `timeout`, with the same id, so that the
 * message is taken once.
 *
 * @param client the relay's name of the upstream.
 * @throws FORKSAFE_ERR_RELAY_UNREACHABLE, FORKSAFE_ERR_RELAY_TIMEOUT, FORKSAFE_ERR_RELAY_ABORTED: not answered.
 * @throws FORKSAFE_ERR_RELAY_FULL and the like: refused; nothing was taken. `details` holds `id`, `status`, `retryAfter`.
 * @throws FORKSAFE_ERR_RELAY_OPTIONS, FORKSAFE_ERR_RELAY_DENIED: wrong here; nothing was sent.
 */
export const publish = async (
  client: string,
  message: Message,
  options: PublishOptions = {},
): Promise<Published> => {
  const asked = messageRequest(client, message, options)
  const answer = await exchange(asked)
  if (isPublished(answer)) return answer
  throw notARelay(asked.path)
}

/**
 * Hands over many messages at once, at most 10,000 and 16 MiB, in this order. All are checked first: where one of them
 * is wrong, none is taken.
 *
 * @returns what became of each; where the relay took none, it rejects as {@link publish} does.
 */
export const publishBatch = async (
  client: string,
  messages: readonly (Message | BatchMessage)[],
  options: CallOptions = {},
): Promise<BatchResult[]> => {
  const asked = batchRequest(client, messages, options)
  const answer = await exchange(asked)
  const results: unknown =
    typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'results') : null
  if (Array.isArray(results) && results.every(isResult)) return results
  throw notARelay(asked.path)
}

const isPublished = (answer: unknown): answer is Published => isResult(answer) && 'state' in answer

const isResult = (answer: unknown): answer is BatchResult =>
  typeof answer === 'object' &&
  answer !== null &&
  'id' in answer &&
  typeof answer.id === 'string' &&
  ('state' in answer || 'error' in answer)

const notARelay = (path: string): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_RELAY_REQUEST',
    `${path}: the answer is not one of a relay; see who listens there`,
    { details: { path } },
  )
