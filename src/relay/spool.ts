// The small interface behind which one client's messages are kept until they have arrived. The store is
// src/relay/spool/ (a log of segments); whoever calls it is the only process that does: the owner (src/relay/owner.ts).

import type { AppendOutcome, DeliveryReceipt, Fate, NewMessage, SpooledMessage } from './messages.js'

export interface SpoolLimits {
  /** Most messages that wait. */
  maxMessages: number
  /** Most bytes of the folder, with what is kept to know repetitions and what is parked. */
  maxBytes: number
  /** ms after which a message that could not be sent is parked. */
  maxAge: number
  /** For how long an id is remembered after its message was settled, in ms, and of how many messages at most. */
  dedupeWindow: number
  dedupeMessages: number
}

/** How a message left the queue. `parked` follows on {@link Spool.park}, which keeps a copy. */
export type Settlement =
  | { state: 'delivered'; receipt: DeliveryReceipt }
  | { state: 'expired' }
  | { state: 'parked'; reason: string }

export interface ParkedMessage extends SpooledMessage {
  reason: string
  /** Unix time in ms. */
  parkedAt: number
}

export interface SpoolStatus {
  /** Messages that wait, and their bytes in the files. */
  queued: number
  queuedBytes: number
  /** Unix time in ms at which the oldest of them was accepted. */
  oldestAt: number | null
  parked: number
  /** Bytes of the whole folder. */
  bytes: number
  /** Since the spool was opened. */
  accepted: number
  delivered: number
  expired: number
  duplicates: number
  /** Damaged pieces that were found and put aside, since the spool was opened. */
  quarantined: number
  /** Why nothing can be accepted now; null where it can. */
  refusing: string | null
}

export interface Spool {
  /** Settles when the message is on disk, together with those that came meanwhile (group commit). Never rejects. */
  append(message: NewMessage): Promise<AppendOutcome>
  /** The next messages that have not been taken, in order; empty when there are none now. One call at a time. */
  take(limits: { count: number; bytes: number }): Promise<SpooledMessage[]>
  /** Called whenever there is something to take after there was nothing. Returns what takes the listener away. */
  onMore(listener: () => void): () => void
  /** The next `take` begins at the first message that is not settled. */
  rewind(): void
  /** In the order in which they were taken. Kept on disk within 50 ms, without fsync: a crash repeats what came last. */
  settle(seq: number, settlement: Settlement): void
  /** Copies it, fsynced, to where it can be looked at, retried or dropped. Rejects when the disk does not take it. */
  park(message: SpooledMessage, reason: string): Promise<void>
  fate(id: string): Promise<Fate | null>
  status(): SpoolStatus
  /** Messages that wait, from the first one after `after`, in order. */
  list(options: { after?: number; limit: number }): Promise<SpooledMessage[]>
  parked(): Promise<ParkedMessage[]>
  /** Back to the end of the queue, with the same id. False: none of this id is parked. */
  retry(id: string): Promise<AppendOutcome | false>
  /** Takes out a message that waits or is parked. False: there is none. What is being sent may arrive all the same. */
  drop(id: string): Promise<boolean>
  /** Writes what is settled and closes the files; whoever appends afterwards is refused. */
  close(): Promise<void>
}
