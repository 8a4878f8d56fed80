// This worker's questions to the primary, one before each dial of a client: the primary paces all workers together
// (src/primary/dial-pacer.ts). A primary that is silent, or gone, holds nobody back.

import { monotonicNow } from '../shared/clock.js'
import type { Dial } from '../shared/dial-gate.js'
import { MAX_OPEN_ASKS, type PrimaryMessage, type WorkerMessage } from '../shared/protocol.js'

/** How long the primary may be silent: to a question, and beyond the moment that it has named. */
const PATIENCE = 10_000

/** A turn that was given without being asked for is used within this time, or not at all. */
const TURN_KEPT = 1_000

export interface DialAsksOptions {
  /** Never throws; false when the message can never arrive. */
  tell: (message: WorkerMessage) => Promise<boolean>
  patience?: number
}

interface Ask {
  readonly dial: Dial
  /** Lets it dial. */
  pass(): void
  timer: NodeJS.Timeout | undefined
}

export class DialAsks {
  readonly #tell: DialAsksOptions['tell']
  readonly #patience: number
  /** Asked and not answered, by number: as many as the primary takes. */
  readonly #asked = new Map<number, Ask>()
  /** They are asked when others have been answered. */
  readonly #unasked = new Set<Ask>()
  /** Turns that came with a lease. */
  #given: { origin: string; until: number }[] = []
  #lastAsk = 0
  #isClosed = false

  constructor({ tell, patience = PATIENCE }: DialAsksOptions) {
    this.#tell = tell
    this.#patience = patience
  }

  /** The gate: settles when the primary lets it pass, has been silent for too long, or the signal is aborted. */
  pass(dial: Dial): Promise<void> {
    return new Promise((resolve) => {
      if (dial.signal.aborted || this.#isClosed || this.#useTurn(dial.origin)) return resolve()
      const leave = (): void => this.#leave(ask)
      const ask: Ask = {
        dial,
        timer: undefined,
        pass: () => {
          clearTimeout(ask.timer)
          dial.signal.removeEventListener('abort', leave)
          resolve()
        },
      }
      dial.signal.addEventListener('abort', leave, { once: true })
      this.#unasked.add(ask)
      this.#askMore()
    })
  }

  /** The next dial there, if it comes soon, need not ask. */
  mayDial(origin: string): void {
    this.#dropOldTurns()
    this.#given.push({ origin, until: monotonicNow() + TURN_KEPT })
  }

  #useTurn(origin: string): boolean {
    this.#dropOldTurns()
    const at = this.#given.findIndex((turn) => turn.origin === origin)
    if (at === -1) return false
    this.#given.splice(at, 1)
    return true
  }

  #dropOldTurns(): void {
    const now = monotonicNow()
    this.#given = this.#given.filter(({ until }) => until > now)
  }

  answered(message: Extract<PrimaryMessage, { type: 'mayDial' | 'dialLater' }>): void {
    const ask = this.#asked.get(message.id)
    if (ask === undefined) return
    if (message.type === 'mayDial') this.#passed(message.id)
    else this.#expectWithin(message.id, ask, message.wait + this.#patience)
  }

  /** To be called when the channel is closed: nobody is left to be asked. */
  closed(): void {
    this.#isClosed = true
    for (const ask of [...this.#asked.values(), ...this.#unasked]) ask.pass()
    this.#asked.clear()
    this.#unasked.clear()
  }

  #askMore(): void {
    for (const ask of this.#unasked) {
      if (this.#asked.size >= MAX_OPEN_ASKS) return
      this.#unasked.delete(ask)
      const id = ++this.#lastAsk
      this.#asked.set(id, ask)
      this.#expectWithin(id, ask, this.#patience)
      void this.#tell({ type: 'askDial', id, origin: ask.dial.origin }).then((written) => {
        if (!written) this.#passed(id)
      })
    }
  }

  #expectWithin(id: number, ask: Ask, ms: number): void {
    clearTimeout(ask.timer)
    ask.timer = setTimeout(() => {
      this.#withdraw(id)
      this.#passed(id)
    }, ms)
  }

  #leave(ask: Ask): void {
    this.#unasked.delete(ask)
    ask.pass()
    for (const [id, asked] of this.#asked) {
      if (asked !== ask) continue
      this.#withdraw(id)
      this.#passed(id)
    }
  }

  #passed(id: number): void {
    const ask = this.#asked.get(id)
    if (ask === undefined) return
    this.#asked.delete(id)
    ask.pass()
    this.#askMore()
  }

  /** Whatever the primary does with it, its answer is not waited for. */
  #withdraw(id: number): void {
    void this.#tell({ type: 'withdrawDial', id })
  }
}
