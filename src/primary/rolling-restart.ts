// One rolling restart as data: which slots it has still to do, what is under way, what went wrong.
// It answers what comes next; src/primary/supervisor-core.ts carries it out on the pool.
//
// The canary goes first and alone, and its predecessor is kept until it has lived `minUptime`. The others follow,
// at most `maxSurge` starting at once, each predecessor drained when its replacement is ready. Any failure turns the
// direction: what is under way is dropped, and slots that were done go back to the old generation, start first.

import type { WorkerFailure } from '../shared/progress.js'
import type { Release } from './commands.js'

export type RollingDirection = 'forward' | 'back'

export class RollingRestart {
  readonly release: Release
  /** What the slots go back to if it fails. */
  readonly previous: Release
  readonly startedAt: number
  direction: RollingDirection = 'forward'
  /** Slots that have not been begun in the present direction. */
  readonly #todo: number[]
  /** Slots whose replacement is starting, or on probation as the canary. */
  readonly #underWay = new Set<number>()
  /** Slots that run the new generation, in the order in which they came to it. */
  readonly #done: number[] = []
  /** Workers that are ready but younger than `minUptime`. */
  readonly #onProbation = new Set<number>()
  #isCanaryPassed = false
  readonly failures: WorkerFailure[] = []

  constructor(init: { release: Release; previous: Release; startedAt: number }) {
    this.release = init.release
    this.previous = init.previous
    this.startedAt = init.startedAt
    this.#todo = Array.from({ length: init.release.workers }, (_, slot) => slot)
  }

  /** The generation that the present direction leads to. */
  get target(): Release {
    return this.direction === 'forward' ? this.release : this.previous
  }

  /** The next slot that may be begun now, taken from the list; undefined if none may. */
  takeNext(): number | undefined {
    const limit = this.direction === 'forward' && !this.#isCanaryPassed ? 1 : this.release.maxSurge
    if (this.#underWay.size >= limit) return undefined
    const slot = this.#todo.shift()
    if (slot !== undefined) this.#underWay.add(slot)
    return slot
  }

  isUnderWay(slot: number): boolean {
    return this.#underWay.has(slot)
  }

  /** Whether a replacement that became ready has to live `minUptime` before its predecessor may go. */
  get isCanaryNext(): boolean {
    return this.direction === 'forward' && !this.#isCanaryPassed
  }

  /** The replacement of this slot has taken over. */
  slotDone(slot: number, workerId: number, isProved: boolean): void {
    this.#underWay.delete(slot)
    if (this.direction !== 'forward') return
    this.#isCanaryPassed = true
    this.#done.push(slot)
    if (!isProved) this.#onProbation.add(workerId)
  }

  probationPassed(workerId: number): void {
    this.#onProbation.delete(workerId)
  }

  isOnProbation(workerId: number): boolean {
    return this.#onProbation.has(workerId)
  }

  /** Turns back. Returns the slots whose replacement is to be dropped and those that go back to the old generation. */
  turnBack(failure: WorkerFailure): { drop: number[]; restore: number[] } {
    this.failures.push(failure)
    this.direction = 'back'
    const drop = [...this.#underWay]
    const restore = [...this.#done].reverse()
    this.#underWay.clear()
    this.#onProbation.clear()
    this.#todo.length = 0
    this.#todo.push(...restore)
    return { drop, restore }
  }

  /** On the way back nothing can be turned any more: the slot keeps what it has. */
  giveUpSlot(slot: number, failure: WorkerFailure): void {
    this.failures.push(failure)
    this.#underWay.delete(slot)
  }

  get isComplete(): boolean {
    return this.#todo.length === 0 && this.#underWay.size === 0 && this.#onProbation.size === 0
  }
}
