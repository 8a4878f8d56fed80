// What goes into the client's decisions and what comes out: every event and every effect, in one place.
// client-session.ts and delivery.ts decide, session-runner.ts carries out, guarded-client.ts tells whoever waits.

import type { ErrorCode } from '../shared/errors.js'
import type { ClientState } from './client-states.js'
import type { ConnectionEnd } from './connection-end.js'
import type { HolderAnswer } from './link-messages.js'
import type { Entry, ReceiptLevel } from './outbox.js'

export type TimerName = 'retry' | 'stable' | 'drain' | 'close' | 'watch'

export type SessionEvent<Cargo> =
  /** Somebody wants it open; `isExplicit`: and knows that the upstream refused it before. */
  | { type: 'want'; isExplicit: boolean }
  /** Nobody who asked for the connection is left. */
  | { type: 'unwant' }
  | { type: 'opened'; epoch: number }
  | { type: 'gone'; epoch: number; end: ConnectionEnd }
  /** The peer, or a fault of its, has begun to end the connection: what is written now goes nowhere. */
  | { type: 'ending'; epoch: number }
  /** The outbox has taken a message. */
  | { type: 'accepted' }
  /** The turn in which `writeSoon` was asked for is over. */
  | { type: 'writeTurn' }
  /** The kernel has taken everything up to that message. */
  | { type: 'flushed'; epoch: number; sequence: number }
  | { type: 'pong'; epoch: number; payload: string }
  /** When bytes last came in. */
  | { type: 'heard'; epoch: number; at: number }
  /** The upstream's application says that it has done what a message asked. */
  | { type: 'acknowledged'; entry: Entry<Cargo> }
  /** Its sender does not want it any more. */
  | { type: 'withdraw'; entry: Entry<Cargo>; code: ErrorCode; why: string }
  /** We do not read, because our consumer is slow; we read again. */
  | { type: 'paused' }
  | { type: 'resumed' }
  /** What had come in before `awaitTurn` has been read. */
  | { type: 'turnOver'; epoch: number }
  /** What is exclusive is ours: it may be dialled. */
  | { type: 'granted' }
  /** It shall be somebody else's: close within `timeout` ms. */
  | { type: 'revoked'; why: string; timeout: number }
  /** It is not ours any more: nothing is written from here on. */
  | { type: 'leaseLost'; why: string }
  /** Nobody will grant anything any more. */
  | { type: 'orphaned' }
  /** Nobody who leaves with us still needs our connection. */
  | { type: 'mayLeave' }
  /** Messages can be handed to the holder, in the same tree; and: not any more. */
  | { type: 'linkOpened'; link: number }
  | { type: 'linkClosed'; link: number }
  /** What the holder says of messages that it was handed. */
  | { type: 'linkAnswered'; link: number; answer: HolderAnswer }
  | { type: 'suspend'; timeout: number }
  | { type: 'resume' }
  | { type: 'close'; code: number; drainTimeout: number; closeTimeout: number }
  | { type: 'terminate' }
  | { type: 'timer'; name: TimerName }

/** What is done to sockets and timers. */
export type SessionAct<Cargo> =
  | { type: 'dial'; epoch: number }
  | { type: 'write'; epoch: number; entries: readonly Entry<Cargo>[] }
  | { type: 'ping'; epoch: number; payload: string }
  /** A pong that nobody asked for: it tells the peer that we are alive though we do not read (RFC 6455 5.5.3). */
  | { type: 'pong'; epoch: number }
  | { type: 'closeSocket'; epoch: number; code: number }
  | { type: 'terminateSocket'; epoch: number; why: string | null }
  | { type: 'setTimer'; name: TimerName; ms: number }
  | { type: 'clearTimer'; name: TimerName }
  /** `writeTurn` at the end of the running turn: what is sent in one turn goes out together. */
  | { type: 'writeSoon' }
  /** `turnOver` when the event loop has read what is there. */
  | { type: 'awaitTurn'; epoch: number }

/** What is done about the lease of an exclusive client. */
export type LeaseAct<Cargo> =
  /** Stands in line for what is exclusive. */
  | { type: 'claim' }
  /** The socket is gone: the next one may have it. `isFinal`: we stand in line no more. */
  | { type: 'letGo'; isFinal: boolean; isSuperseded: boolean }
  /** There is something to deliver, and no other way; and: somebody wants it although we were superseded. */
  | { type: 'need' }
  | { type: 'insist' }
  /** We leave, and would close the connection: answered by `mayLeave`. */
  | { type: 'askToLeave' }
  /** Takes nothing more from standbys, and gives them back what was not proved. */
  | { type: 'closeLinks' }
  | { type: 'forward'; link: number; batch: number; entries: readonly Entry<Cargo>[] }

/** What became of something, to be told to whoever waits for it. */
export type SessionReport<Cargo> =
  | { type: 'moved'; from: ClientState; to: ClientState; reason: string }
  | { type: 'confirmed'; entries: readonly Entry<Cargo>[]; level: ReceiptLevel; epoch: number }
  | { type: 'rejected'; entries: readonly Entry<Cargo>[]; code: ErrorCode; why: string }
  /** Those who wait for the connection are answered. */
  | { type: 'connected'; epoch: number }
  | { type: 'connectFailed'; code: ErrorCode; why: string }
  /** A connection that had been open ended. */
  | { type: 'lost'; epoch: number; end: ConnectionEnd }
  | { type: 'waits'; delay: number; attempt: number; reason: string }
  /** It will not come back by itself. */
  | { type: 'refused'; code: ErrorCode; why: string; end: ConnectionEnd | null }
  /** The peer answers no pings; and: it does after all. */
  | { type: 'receiptsDegraded'; epoch: number; reason: string }
  | { type: 'receiptsRestored'; epoch: number }
  /** No socket is left: who suspends or closes may go on. */
  | { type: 'socketGone' }
  /** What is exclusive is ours, and is not any more. */
  | { type: 'acquired' }
  | { type: 'released'; why: string }

export type SessionEffect<Cargo> = SessionAct<Cargo> | LeaseAct<Cargo> | SessionReport<Cargo>
