// Whoever uses a lease: a small client with one connection, which it opens while it may, writes on, and closes when it is
// told to. What it is told comes from claim-shell.ts.

import type { Random } from '../../campaign/random.js'
import type { Due } from './loop.js'
import type { SimProcess } from './sim-process.js'
import type { Line, Upstream } from './upstream.js'

/** ms between two frames. */
const FRAMES = 900
/** ms until it tries again. */
const BACKOFF = [50, 800] as const

export interface UserDuties {
  /** Asked before each use. */
  isHeld(): boolean
  /** Whether a Close frame may still be written. */
  mayClose(): boolean
  opened(): void
  failed(why: string): void
  letGo(isSuperseded: boolean): void
  end(): void
}

export class LeaseUser {
  readonly #process: SimProcess
  readonly #upstream: Upstream
  readonly #random: Random
  readonly #identity: string
  readonly #duties: UserDuties
  #line: Line | null = null
  #isOpen = false
  #epoch = 0
  #mayUse = false
  /** What is said once nothing is open any more. */
  #ending: 'let go' | 'end' | null = null
  #goneBy = Number.POSITIVE_INFINITY
  #timers: Due[] = []

  constructor(process: SimProcess, upstream: Upstream, random: Random, identity: string, duties: UserDuties) {
    this.#process = process
    this.#upstream = upstream
    this.#random = random
    this.#identity = identity
    this.#duties = duties
  }

  get hasConnection(): boolean {
    return this.#line !== null
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  mayUse(epoch: number): void {
    this.#epoch = epoch
    this.#mayUse = true
    this.#ending = null
    this.#dial()
  }

  closeWithin(budget: number): void {
    this.#mayUse = false
    this.#close('let go', budget)
  }

  /** Not ours any more: nothing is written, not even a Close frame. */
  destroy(): void {
    this.#mayUse = false
    this.#drop()
    this.#say(this.#ending ?? 'let go', false)
  }

  /** It is not wanted any more. */
  end(): void {
    this.#mayUse = false
    this.#close('end', 3_000)
  }

  #close(ending: 'let go' | 'end', budget: number): void {
    if (this.#ending !== 'end') this.#ending = ending
    if (!this.#isOpen) {
      this.#drop()
      return this.#say(this.#ending ?? ending, false)
    }
    this.#clearTimers()
    // A later order does not put off an earlier one.
    const { now } = this.#process.loop
    this.#goneBy = Math.min(this.#goneBy, now + budget)
    // What was written is to be proved first; some peers let us wait for ever.
    this.#timer(this.#random.int(0, this.#random.chance(0.1) ? 6_000 : 40), () => {
      if (this.#duties.mayClose()) this.#line?.close()
    })
    this.#timer(this.#goneBy - now, () => {
      if (this.#line === null) return
      this.#drop()
      this.#say(this.#ending ?? ending, false)
    })
  }

  #say(ending: 'let go' | 'end', isSuperseded: boolean): void {
    this.#ending = null
    if (ending === 'end') this.#duties.end()
    else this.#duties.letGo(isSuperseded)
  }

  #dial(): void {
    if (!this.#mayUse || this.#line !== null || !this.#duties.isHeld()) return
    this.#line = this.#upstream.dial(this.#process, this.#identity, this.#epoch, {
      accepted: () => this.#accepted(),
      gone: (how) => this.#gone(how),
    })
    this.#timer(4_000, () => {
      if (this.#isOpen || this.#line === null) return
      this.#drop()
      this.#retry('it did not open in time')
    })
  }

  #accepted(): void {
    this.#clearTimers()
    if (!this.#duties.isHeld()) return
    this.#isOpen = true
    this.#duties.opened()
    this.#write()
  }

  #write(): void {
    this.#timer(FRAMES, () => {
      if (!this.#isOpen || !this.#duties.isHeld()) return
      this.#line?.write()
      this.#write()
    })
  }

  #gone(how: 'refused' | 'closed' | 'superseded' | 'answered'): void {
    this.#drop()
    if (this.#ending !== null) return this.#say(this.#ending, how === 'superseded')
    if (how === 'superseded') {
      this.#mayUse = false
      return this.#say('let go', true)
    }
    this.#retry(how)
  }

  #retry(why: string): void {
    this.#duties.failed(why)
    if (this.#mayUse) this.#timer(this.#random.int(...BACKOFF), () => this.#dial())
  }

  #drop(): void {
    this.#clearTimers()
    this.#line?.destroy()
    this.#line = null
    this.#isOpen = false
    this.#goneBy = Number.POSITIVE_INFINITY
  }

  #timer(ms: number, run: () => void): void {
    this.#timers.push(this.#process.setTimer(ms, run))
  }

  #clearTimers(): void {
    for (const timer of this.#timers.splice(0)) timer.isCleared = true
  }
}
