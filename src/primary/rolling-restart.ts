// A rolling restart: which slots it has still to do, what is under way, what went wrong, and the way back.
//
// The canary goes first and alone, and its predecessor is kept until it has lived `minUptime`. The others follow,
// at most `maxSurge` starting at once, each predecessor drained when its replacement is ready. Any failure turns the
// direction: what is under way is dropped, and slots that were done go back to the old generation, start first.

import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import type { Board } from './board.js'
import { type Change, countWorkers, describeFailure, ROLLED_BACK } from './change.js'
import type { Release } from './commands.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

export class RollingRestart implements Change {
  readonly reason = 'reload'
  readonly #board: Board
  readonly #release: Release
  /** What the slots go back to if it fails. */
  readonly #previous: Release
  readonly #begunAt: number
  #isBack = false
  /** Slots that have not been begun in the present direction. */
  readonly #todo: number[]
  /** Slots whose replacement is starting, or on probation as the canary. */
  readonly #underWay = new Set<number>()
  /** Slots that run the new generation, in the order in which they came to it. */
  readonly #done: number[] = []
  /** Workers that are ready but younger than `minUptime`. */
  readonly #onProbation = new Set<number>()
  #isCanaryPassed = false
  readonly #failures: WorkerFailure[] = []

  constructor(board: Board, release: Release) {
    this.#board = board
    this.#release = release
    this.#previous = board.release
    this.#begunAt = board.now
    const slots = inOrder(release)
    this.#todo = [...slots]
    if (release.workers > board.pool.slots.length) board.resize(release)
    board.emit({ type: 'progress', progress: { event: 'reloading', generation: release.generation, slots } })
  }

  releaseOf(generation: number): Release | null {
    return generation === this.#release.generation ? this.#release : null
  }

  /** Slots that only the new release has are filled by nobody else either. */
  holds({ index }: Slot): boolean {
    return this.#underWay.has(index) || (index >= this.#previous.workers && !this.#done.includes(index))
  }

  isCanary({ index }: Slot): boolean {
    return this.#underWay.has(index) && !this.#isBack && !this.#isCanaryPassed
  }

  tookOver(slot: Slot, handle: WorkerHandle, isProved: boolean): void {
    // A worker of the other generation in this slot may only now have become ready.
    if (handle.generation !== this.#target.generation || !this.#underWay.delete(slot.index)) return
    slot.policy.forget()
    if (this.#isBack) return
    this.#isCanaryPassed = true
    this.#done.push(slot.index)
    if (!isProved) this.#onProbation.add(handle.id)
  }

  isOnProbation(handle: WorkerHandle): boolean {
    return this.#onProbation.has(handle.id)
  }

  probationPassed(handle: WorkerHandle): void {
    this.#onProbation.delete(handle.id)
  }

  lost(slot: Slot, handle: WorkerHandle, failure: WorkerFailure, wasReplacement: boolean): boolean {
    const isOurs = (this.#underWay.has(slot.index) && wasReplacement) || this.#onProbation.has(handle.id)
    if (!isOurs) return false
    if (this.#isBack) this.#giveUpSlot(slot, failure)
    else this.#turnBack(failure)
    return true
  }

  advance(): OperationResult | null {
    const { pool, operations } = this.#board
    while (operations.mayFork()) {
      const slot = this.#takeNext()
      if (slot === undefined) break
      this.#begin(slot)
    }
    if (this.#todo.length > 0 || this.#underWay.size > 0 || this.#onProbation.size > 0) return null
    // Slots that the release no longer has, or that only the failed one had, go last.
    if (pool.slots.length !== this.#target.workers) this.#board.resize(this.#target)
    return pool.leaving.length > 0 ? null : this.#over()
  }

  /** The release that the present direction leads to. */
  get #target(): Release {
    return this.#isBack ? this.#previous : this.#release
  }

  /** The next slot that may be begun now, taken from the list. */
  #takeNext(): Slot | undefined {
    const limit = this.#isBack || this.#isCanaryPassed ? this.#release.maxSurge : 1
    if (this.#underWay.size >= limit) return undefined
    const index = this.#todo.shift()
    return index === undefined ? undefined : this.#board.pool.slot(index)
  }

  #begin(slot: Slot): void {
    this.#board.clearWait(slot)
    if (this.#isBack && slot.serving?.generation === this.#target.generation) return
    this.#underWay.add(slot.index)
    // A replacement that was already under way for another reason belongs to the old generation.
    this.#dropReplacement(slot)
    this.#board.operations.start(slot, this.#target, 'replacement')
  }

  #turnBack(failure: WorkerFailure): void {
    this.#failures.push(failure)
    this.#isBack = true
    const { generation } = this.#release
    this.#board.emit({ type: 'distrustGeneration', generation, reason: failure.reason })
    // What only the failed release had is taken away at the end.
    const restore = this.#done.filter((index) => index < this.#previous.workers).reverse()
    for (const index of [...this.#underWay, ...restore]) {
      const slot = this.#board.pool.slot(index)
      if (slot === undefined) continue
      slot.generation = this.#previous.generation
      if (this.#underWay.has(index)) this.#dropReplacement(slot)
    }
    this.#underWay.clear()
    this.#onProbation.clear()
    this.#todo.length = 0
    this.#todo.push(...restore)
  }

  /** On the way back nothing can be turned any more: the slot keeps what it has. */
  #giveUpSlot(slot: Slot, failure: WorkerFailure): void {
    this.#failures.push(failure)
    this.#underWay.delete(slot.index)
    if (slot.serving === null) this.#board.restartLater(slot, null, failure.reason)
  }

  #dropReplacement(slot: Slot): void {
    const dropped = slot.replacement
    slot.replacement = null
    if (dropped !== null) this.#board.retire(dropped, this.reason)
  }

  #over(): OperationResult {
    const failures = this.#failures
    if (!this.#isBack) {
      const { generation } = this.#release
      const ms = Math.round(this.#board.now - this.#begunAt)
      this.#board.release = this.#release
      this.#board.emit({ type: 'progress', progress: { event: 'reloaded', generation, ms } })
      const verb = this.#release.workers === 1 ? 'runs' : 'run'
      const message = `${countWorkers(this.#release)} ${verb} generation ${generation}`
      return { ok: true, exitCode: 0, message, generation, failures: [] }
    }
    const { generation } = this.#previous
    this.#board.emit({
      type: 'progress',
      progress: { event: 'reloadFailed', generation: this.#release.generation, failures },
    })
    const message = `rolled back to generation ${generation}: ${describeFailure(failures[0])}`
    return { ok: false, exitCode: ROLLED_BACK, message, generation, failures }
  }
}

/** The app's first slot is the canary; the relay comes last, so that a release that is turned back has not touched it. */
const inOrder = ({ workers, relays }: Release): number[] => {
  const slots = Array.from({ length: workers }, (_, slot) => slot)
  return [...slots.slice(relays), ...slots.slice(0, relays)]
}
