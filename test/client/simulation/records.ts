// What a judge knows of what the user asked for and was told: taken from calls, promises and events, never from the
// client's own books.

import type { Sendable } from '../../../src/client/connection.js'
import type { Receipt } from '../../../src/client/send-options.js'
import type { FakeLink } from './fake-link.js'
import type { OutFrame } from './frames.js'
import type { SendStep } from './plan.js'

export interface SentMessage {
  /** In the order of the calls. */
  readonly number: number
  readonly data: Sendable
  readonly bytes: number
  readonly asked: SendStep
  readonly calledAt: number
  /** On the virtual clock. */
  readonly expiresAt: number | null
  /** Whether the upstream had refused the client when it was sent. */
  readonly wasRefused: boolean
  /** Whether there was room for it, and nobody waited before it. */
  readonly hadRoom: boolean
  readonly given: { link: FakeLink; frame: OutFrame }[]
  /** Whether its signal was aborted. */
  isAborted: boolean
  /** Whether an acknowledgement of it came in after it was given to a connection. */
  isAcknowledged: boolean
  outcome: { at: number; receipt: Receipt | null; code: string | null } | null
}

/** A call of which the promise is open. */
export interface OpenCall {
  readonly what: string
  /** When it must have settled; null: when the client is closed at the latest. */
  readonly dueAt: number | null
}

export interface OpenConnect extends OpenCall {
  readonly controller: AbortController | null
}

export interface Consumer {
  /** How many messages had come in before it. */
  readonly from: number
  /** How many it has taken. */
  taken: number
  hasLeft: boolean
  /** Whether it waits for the next. */
  isWaiting: boolean
  isDone: boolean
}

/** Everything that was recorded of one schedule. */
export class Records {
  readonly links: FakeLink[] = []
  readonly messages: SentMessage[] = []
  readonly byData = new Map<Sendable, SentMessage>()
  readonly unsettled = new Set<SentMessage>()
  readonly openCalls = new Set<OpenCall>()
  readonly openConnects = new Set<OpenConnect>()
  readonly consumers: Consumer[] = []
  /** What came in, of all connections. */
  readonly incoming: { data: string; epoch: number }[] = []
  /** How many of them a `message` event has told. */
  told = 0
  confirmed = 0
  /** When the client was first told to close, and when it must be closed. */
  closingSince: number | null = null
  closedBy = Number.POSITIVE_INFINITY
  isClosed = false
  isSuspended = false
  /** Whether what was suspended was open: it comes back, whoever does not wait for it any more. */
  wasOpen = false
  /** Links that were there when the client was suspended: they end by that, and when at the latest. */
  readonly suspendedLinks = new Map<FakeLink, number>()
  /** Whether the upstream wants no connection, and nobody has asked for one since. */
  isRefused = false
  refusedAt = Number.NEGATIVE_INFINITY
  isDegraded = false
  /** Whether somebody waits for a connection, or has had one and not given it back. */
  isWanted = false
  /** Whether a connect() was aborted last, so that it may have been given back. */
  isPerhapsGivenBack = false
  aborts = 0

  /** The socket that is not gone. */
  get link(): FakeLink | undefined {
    const last = this.links.at(-1)
    return last?.isGone ? undefined : last
  }

  /** Whether the peer has ever answered a ping, not too late, as far as our process has read. */
  get isProved(): boolean {
    return this.links.some(({ isKnownToAnswer }) => isKnownToAnswer)
  }

  want(): void {
    this.isWanted = true
    this.isPerhapsGivenBack = false
  }

  get isClosing(): boolean {
    return this.closingSince !== null
  }
}
