// What the forwarder's decisions (forwarder-core.ts) are told, and what they ask for (forwarder.ts carries it out).

import type { DeliveryReceipt, SpooledMessage } from './messages.js'
import type { Settlement } from './spool.js'

export interface ForwarderLimits {
  /** Messages that are taken and not settled, and their bytes. */
  window: { count: number; bytes: number }
  /** ms after which a message that could not be sent is parked. */
  maxAge: number
  /** How often a message may be what a connection ended by. */
  maxAttempts: number
  /** ms until an upstream that refused us is asked again. */
  rest: number
}

export interface Entry {
  readonly message: SpooledMessage
  /** `unparked`: it is to be parked, and the disk did not take it. */
  state: 'waiting' | 'sent' | 'parking' | 'unparked' | 'done'
  /** It was in flight when a connection ended by what it carried: it goes alone. */
  isSuspect: boolean
  /** How often a connection ended while it was the only one in flight. */
  attempts: number
  settlement: Settlement | null
}

export interface SendFailure {
  entry: Entry
  /** It may have arrived. */
  wasWritten: boolean
  /** Why it will never be sent as it is; null: it came back. */
  unsendable: string | null
}

export type ForwarderEvent =
  | { type: 'more' }
  /** The answer to `take`. */
  | { type: 'taken'; messages: readonly SpooledMessage[] }
  | { type: 'opened' }
  | { type: 'lost'; code: number; reason: string; isByPeer: boolean }
  /** The client has given up, and hands back what it had. */
  | { type: 'refused'; why: string }
  | { type: 'rested' }
  | { type: 'delivered'; receipts: readonly { entry: Entry; receipt: DeliveryReceipt }[] }
  | { type: 'failed'; failures: readonly SendFailure[] }
  | { type: 'parked'; entry: Entry }
  | { type: 'parkFailed'; entry: Entry }
  | { type: 'dropped'; id: string }
  | { type: 'tick' }
  | { type: 'stop' }

export type ForwarderEffect =
  | { type: 'take'; count: number; bytes: number }
  /** To be sent in this order. */
  | { type: 'send'; entries: readonly Entry[] }
  /** To be settled in this order. */
  | { type: 'settle'; entries: readonly Entry[] }
  | { type: 'park'; entry: Entry; reason: string }
  /** An attempt, and others by the client's own backoff until one succeeds. */
  | { type: 'connect' }
  /** Answered by `rested`. */
  | { type: 'rest'; ms: number; why: string }
  /** Whether messages wait that can grow too old: `tick` is wanted now and then. */
  | { type: 'watch'; isOn: boolean }
  /** The connection ended by one of so many, which are sent again one by one. */
  | { type: 'suspected'; count: number; why: string }
  | { type: 'stopped' }
