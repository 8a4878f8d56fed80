// The fence of a holder: until when it may use what it holds, as far as its heartbeats are answered. Pure, plain data.
// The deadline counts from before a heartbeat was sent, so it always lies before the moment at which the other side,
// which counts from when that heartbeat came in, gives the holder up.

import { FENCE } from './timing.js'

export interface FenceState {
  /** Moments at which heartbeats were sent that are not answered yet, by number. */
  sent: Record<number, number>
  lastSent: number
  deadline: number
}

export class Fence {
  readonly state: FenceState

  constructor(state: FenceState = { sent: {}, lastSent: 0, deadline: Number.NEGATIVE_INFINITY }) {
    this.state = state
  }

  /** A heartbeat is about to be sent; returns its number. */
  sending(now: number): number {
    const number = ++this.state.lastSent
    this.state.sent[number] = now
    return number
  }

  answered(number: number): void {
    const at = this.state.sent[number]
    if (at === undefined) return
    for (const earlier of Object.keys(this.state.sent)) {
      if (Number(earlier) <= number) delete this.state.sent[Number(earlier)]
    }
    this.state.deadline = Math.max(this.state.deadline, at + FENCE)
  }

  isPassed(now: number): boolean {
    return now >= this.state.deadline
  }

  get deadline(): number {
    return this.state.deadline
  }
}
