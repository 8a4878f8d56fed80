// Watches the workers for their limits: samples them, asks for beats, keeps the time. It judges nothing
// (src/primary/worker-limits.ts does), and where no limit asks for anything it does nothing at all.

import { resourceUsage } from '../observe/resource-usage.js'
import { monotonicNow } from '../shared/clock.js'
import type { LimitBreach } from '../shared/limits.js'
import { type LimitEffect, type WatchedWorker, WorkerLimits } from './worker-limits.js'

export interface LimitWatchActions {
  /** The workers that are ready now. */
  ready(): (WatchedWorker & { pid: number })[]
  askBeat(id: number): void
  breached(id: number, breach: LimitBreach): void
}

/** A timer longer than Node's longest would ring at once; to look once more costs nothing. */
const LONGEST_WAIT = 3_600_000

export class LimitWatch {
  readonly #actions: LimitWatchActions
  readonly #limits = new WorkerLimits(Math.random)
  #timer: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined
  #hasEnded = false

  constructor(actions: LimitWatchActions) {
    this.#actions = actions
  }

  /** To be called when a worker has become ready. */
  look(): void {
    if (this.#hasEnded) return
    this.#clearTimer()
    this.#carryOut(this.#limits.look(this.#actions.ready(), monotonicNow()))
    const next = this.#limits.nextLookAt
    if (next === null || this.#hasEnded) return
    this.#clearTimer()
    // Judged only when everything has been read that came before: who answered in time answered in time.
    const afterReading = (): void => {
      this.#turn = setImmediate(() => this.look())
    }
    this.#timer = setTimeout(afterReading, Math.min(LONGEST_WAIT, Math.max(0, next - monotonicNow())))
  }

  beat(id: number): void {
    this.#limits.beat(id)
  }

  end(): void {
    this.#hasEnded = true
    this.#clearTimer()
  }

  #carryOut(effects: readonly LimitEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'sample') void this.#sample(effect.ids)
      else if (effect.type === 'askBeat') this.#actions.askBeat(effect.id)
      else this.#actions.breached(effect.id, effect.breach)
    }
  }

  async #sample(ids: readonly number[]): Promise<void> {
    const asked = this.#actions.ready().filter(({ id }) => ids.includes(id))
    const usage = await resourceUsage(asked.map(({ pid }) => pid))
    const samples = asked.flatMap(({ id, pid }) => {
      const figures = usage.get(pid)
      return figures === undefined ? [] : [[id, figures] as const]
    })
    if (!this.#hasEnded) this.#carryOut(this.#limits.sampled(new Map(samples), monotonicNow()))
  }

  #clearTimer(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
  }
}
