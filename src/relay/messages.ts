// What travels through the relay, from a caller's request to the upstream: a message, what was answered when it came, and
// what became of it. Plain data; who keeps it is src/relay/spool, who sends it src/relay/forwarder.ts.

/** A message as a caller hands it in, checked at the door (src/relay/ingress). */
export interface NewMessage {
  /** By which a second one of the same content is known as a repetition: 1 to 128 printable ASCII characters, no space. */
  id: string
  /** What it has to keep its order with; null where its caller named nothing. */
  key: string | null
  /** A binary frame for the upstream, else a text frame: then `body` is valid UTF-8. */
  isBinary: boolean
  /** Unix time in ms after which nobody wants it any more; null: never. */
  expiresAt: number | null
  body: Buffer
}

export interface SpooledMessage extends NewMessage {
  /** Its place in the queue of its client: counted up by one for each message, over restarts too. */
  seq: number
  /** Unix time in ms. */
  acceptedAt: number
}

/**
 * - `queued`: on disk, not yet proved to have arrived.
 * - `delivered`: the upstream's endpoint has it.
 * - `expired`: its caller's time to live ran out before it could be sent.
 * - `parked`: given up with a reason, and kept: `supervisor spool ls --parked`.
 * - `dropped`: taken out by an operator.
 */
export type FateState = 'queued' | 'delivered' | 'expired' | 'parked' | 'dropped'

/** Proof of delivery; see `Receipt` of the client. */
export interface DeliveryReceipt {
  level: 'written' | 'received' | 'processed'
  epoch: number
  /** ms from handing it to the client to the proof. */
  rtt: number
}

export interface Fate {
  id: string
  state: FateState
  seq: number
  /** Unix time in ms. */
  acceptedAt: number
  /** Unix time in ms; null while it is queued, and where only the state is known any more. */
  settledAt: number | null
  reason: string | null
  /** Null unless it was delivered by the process that is asked. */
  receipt: DeliveryReceipt | null
}

/** Why a message was not taken. Nothing of it is kept. */
export interface Refusal {
  code:
    | 'FORKSAFE_ERR_RELAY_FULL'
    | 'FORKSAFE_ERR_RELAY_DISK_FULL'
    | 'FORKSAFE_ERR_RELAY_DISK'
    | 'FORKSAFE_ERR_RELAY_UNAVAILABLE'
  /** One line for people: which bound, what to do. */
  message: string
  /** Seconds after which another attempt makes sense, at least 1. */
  retryAfter: number
}

/**
 * What is answered to a message.
 * - `accepted`: it is on disk (fsync) and will be sent.
 * - `duplicate`: one of the same id and content had been accepted before; nothing was added.
 * - `conflict`: one of the same id and other content had been accepted before.
 * - `refused`: not taken.
 */
export type AppendOutcome =
  | { outcome: 'accepted'; id: string; seq: number }
  | { outcome: 'duplicate'; id: string; fate: Fate }
  | { outcome: 'conflict'; id: string }
  | { outcome: 'refused'; id: string; refusal: Refusal }
