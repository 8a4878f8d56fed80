// A clock, and an event loop that turns as Node's does: due timers, then what came in, then what waited until it was
// read; after each callback the ends of the turn and the promises. The network has a time line of its own: it goes on
// while the process sleeps, and the process sees what came of it when it next looks.

import type { Timer } from '../../../src/client/environment.js'

/** Something that is read by the process when it looks. */
export interface Readable {
  readonly isReady: boolean
  /** Does what one callback of the event loop would do. */
  readOnce(): void
}

interface Due {
  at: number
  order: number
  run: () => void
  isCleared: boolean
}

/** More turns than this in one instant are no program that makes progress. */
const MOST_TURNS_AT_ONCE = 20_000

export class VirtualLoop {
  now = 10_000
  /** When the process last began to run again after a sleep. */
  wokenAt = Number.NEGATIVE_INFINITY
  #asleepUntil = 0
  #order = 0
  #turnsAtOnce = 0
  readonly #network: Due[] = []
  readonly #timers: Due[] = []
  readonly #endOfTurn: (() => void)[] = []
  #afterReading: (() => void)[] = []
  readonly #readables: Readable[] = []
  readonly #onTurnOver: () => void

  /** @param onTurnOver called after each turn, when all promises of it have been told. */
  constructor(onTurnOver: () => void) {
    this.#onTurnOver = onTurnOver
  }

  get isAsleep(): boolean {
    return this.now < this.#asleepUntil
  }

  /** Timers of the process that are neither over nor cleared. */
  get timersLeft(): number {
    return this.#timers.filter(({ isCleared }) => !isCleared).length
  }

  setTimer(ms: number, callback: () => void): Timer {
    if (!Number.isFinite(ms)) throw new Error(`a timer of ${ms} ms`)
    const due = this.#insert(this.#timers, Math.max(1, ms), callback)
    return {
      clear: () => {
        due.isCleared = true
      },
    }
  }

  /** Happens out there, whatever the process does. */
  inNetwork(ms: number, run: () => void): void {
    this.#insert(this.#network, ms, run)
  }

  afterTurn(callback: () => void): void {
    this.#endOfTurn.push(callback)
  }

  afterReading(callback: () => void): void {
    this.#afterReading.push(callback)
  }

  watch(readable: Readable): void {
    this.#readables.push(readable)
  }

  unwatch(readable: Readable): void {
    const index = this.#readables.indexOf(readable)
    if (index >= 0) this.#readables.splice(index, 1)
  }

  /** The process stands still: stopped, starved, or busy with something else. */
  sleep(ms: number): void {
    this.#asleepUntil = Math.max(this.#asleepUntil, this.now + ms)
  }

  async runFor(ms: number): Promise<void> {
    const end = this.now + ms
    for (;;) {
      const next = this.#nextAt()
      if (next > end) break
      this.#moveTo(next)
      await this.#iterate()
    }
    this.#moveTo(end)
  }

  /** One callback of the process, to the end of its turn. */
  async turn(callback: () => void): Promise<void> {
    callback()
    do {
      for (let next = this.#endOfTurn.shift(); next !== undefined; next = this.#endOfTurn.shift()) next()
      // Node calls this back when no promise has anything to tell any more.
      await new Promise<void>((resolve) => process.nextTick(resolve))
    } while (this.#endOfTurn.length > 0)
    this.#onTurnOver()
    if (++this.#turnsAtOnce > MOST_TURNS_AT_ONCE)
      throw new Error('the client spins: time does not go on any more')
  }

  #moveTo(at: number): void {
    if (at <= this.now) return
    const wasAsleep = this.isAsleep
    this.now = at
    this.#turnsAtOnce = 0
    if (wasAsleep && !this.isAsleep) this.wokenAt = at
  }

  #nextAt(): number {
    const isDue = this.#afterReading.length > 0 || this.#readables.some(({ isReady }) => isReady)
    const wanted = isDue ? this.now : this.#firstTimer()
    return Math.min(this.#network[0]?.at ?? Number.POSITIVE_INFINITY, Math.max(this.#asleepUntil, wanted))
  }

  #firstTimer(): number {
    while (this.#timers[0]?.isCleared) this.#timers.shift()
    return this.#timers[0]?.at ?? Number.POSITIVE_INFINITY
  }

  async #iterate(): Promise<void> {
    for (
      let first = this.#network[0];
      first !== undefined && first.at <= this.now;
      first = this.#network[0]
    ) {
      this.#network.shift()
      first.run()
    }
    if (this.isAsleep) return
    while (this.#firstTimer() <= this.now) {
      const timer = this.#timers.shift()
      if (timer !== undefined) await this.turn(timer.run)
    }
    for (const readable of [...this.#readables])
      while (readable.isReady) await this.turn(() => readable.readOnce())
    for (const callback of this.#afterReading.splice(0)) await this.turn(callback)
  }

  #insert(line: Due[], ms: number, run: () => void): Due {
    const due: Due = { at: this.now + ms, order: ++this.#order, run, isCleared: false }
    let index = line.length
    while (index > 0 && (line[index - 1]?.at ?? 0) > due.at) index--
    line.splice(index, 0, due)
    return due
  }
}
