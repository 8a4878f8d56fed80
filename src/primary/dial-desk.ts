// Where workers ask whether they may dial: answers their messages and wakes up when somebody's turn has come.
// Whose turn it is decides src/primary/dial-pacer.ts; the worker's side is src/worker/dial-asks.ts.

import { monotonicNow } from '../shared/clock.js'
import type { PrimaryMessage } from '../shared/protocol.js'
import { DialPacer } from './dial-pacer.js'

export interface DialDeskOptions {
  /** New connections per second of the release that is stood by; 0: no pacing. */
  rate: () => number
  tell: (worker: number, message: PrimaryMessage) => void
}

export class DialDesk {
  readonly #rate: () => number
  readonly #tell: DialDeskOptions['tell']
  readonly #pacer: DialPacer
  #timer: NodeJS.Timeout | undefined

  constructor({ rate, tell }: DialDeskOptions) {
    this.#rate = rate
    this.#tell = tell
    this.#pacer = new DialPacer(rate())
  }

  asked(worker: number, id: number, origin: string): void {
    const now = monotonicNow()
    this.#pacer.setRate(this.#rate(), now)
    const verdict = this.#pacer.ask({ worker, id }, origin, now)
    if (verdict.answer === 'now') this.#tell(worker, { type: 'mayDial', id })
    if (verdict.answer !== 'later') return
    this.#tell(worker, { type: 'dialLater', id, wait: verdict.wait })
    this.#serve()
  }

  /** For a dial that is known to follow at once: whether it may, so that nobody has to ask for it. */
  takeTurn(origin: string): boolean {
    const now = monotonicNow()
    this.#pacer.setRate(this.#rate(), now)
    return this.#pacer.takeTurn(origin, now)
  }

  withdrawn(worker: number, id: number): void {
    this.#pacer.withdraw({ worker, id })
  }

  /** The worker is gone. */
  forget(worker: number): void {
    this.#pacer.forget(worker)
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  /** Tells those whose turn it is, and comes back for the next. */
  #serve(): void {
    clearTimeout(this.#timer)
    const now = monotonicNow()
    this.#pacer.setRate(this.#rate(), now)
    for (const { worker, id } of this.#pacer.grant(now)) this.#tell(worker, { type: 'mayDial', id })
    const wait = this.#pacer.wait(now)
    if (wait !== null) this.#timer = setTimeout(() => this.#serve(), Math.max(1, Math.ceil(wait)))
  }
}
