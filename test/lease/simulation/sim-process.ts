// A process in virtual time: what is due while it is stopped or blocked waits, timers before what came in, as in Node.
// What it does is worker.ts and primary.ts.

import type { Due, Loop } from './loop.js'

export class SimProcess {
  readonly loop: Loop
  readonly name: string
  isAlive = true
  /** When it last began to run again. */
  wokenAt = Number.NEGATIVE_INFINITY
  /** When it was last paused. */
  pausedAt = Number.NEGATIVE_INFINITY
  #pausedUntil = Number.NEGATIVE_INFINITY
  #timers: { due: Due; run: () => void }[] = []
  #inbox: (() => void)[] = []
  readonly #onDeath: (() => void)[] = []

  constructor(loop: Loop, name: string) {
    this.loop = loop
    this.name = name
  }

  get isPaused(): boolean {
    return this.loop.now < this.#pausedUntil
  }

  onDeath(run: () => void): void {
    this.#onDeath.push(run)
  }

  setTimer(ms: number, run: () => void): Due {
    const due: Due = this.loop.after(Math.max(0, ms), () => {
      if (!this.isAlive) return
      if (this.isPaused) this.#timers.push({ due, run })
      else run()
    })
    return due
  }

  /** Something came in: from a channel, a socket, the kernel. */
  receive(ms: number, run: () => void): void {
    this.loop.after(ms, () => {
      if (!this.isAlive) return
      if (this.isPaused) this.#inbox.push(run)
      else run()
    })
  }

  /** SIGSTOP, or a loop that is blocked: to the outside the same. */
  pause(ms: number): void {
    if (!this.isAlive) return
    if (!this.isPaused) this.pausedAt = this.loop.now
    this.#pausedUntil = Math.max(this.#pausedUntil, this.loop.now + ms)
    if (ms !== Number.POSITIVE_INFINITY) this.loop.after(ms, () => this.#wake())
  }

  resume(): void {
    if (this.isPaused) this.#pausedUntil = this.loop.now
    this.#wake()
  }

  #wake(): void {
    if (!this.isAlive || this.isPaused) return
    if (this.pausedAt > this.wokenAt) this.wokenAt = this.loop.now
    const timers = this.#timers.splice(0)
    const inbox = this.#inbox.splice(0)
    for (const { due, run } of timers) if (this.isAlive && !due.isCleared) run()
    for (const run of inbox) if (this.isAlive) run()
  }

  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    for (const run of this.#onDeath) run()
  }
}

/** One direction of a channel between processes: in order, each message with a delay of its own; cut, it loses all. */
export class Pipe<Message> {
  isCut = false
  readonly #to: SimProcess
  readonly #delay: () => number
  readonly #deliver: (message: Message) => void
  #lastAt = 0

  constructor(to: SimProcess, delay: () => number, deliver: (message: Message) => void) {
    this.#to = to
    this.#delay = delay
    this.#deliver = deliver
  }

  send(message: Message): void {
    if (this.isCut) return
    const { now } = this.#to.loop
    this.#lastAt = Math.max(this.#lastAt, now + this.#delay())
    this.#to.receive(this.#lastAt - now, () => {
      if (!this.isCut) this.#deliver(message)
    })
  }
}
