// A restart with a gap, for changes that cannot run side by side: all workers drain and leave, then all are started.
// If the new release cannot run, the one before is started again: a gap, but no outage that stays.

import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import type { Board } from './board.js'
import { type Change, countWorkers, describeFailure, ROLLED_BACK } from './change.js'
import type { Release } from './commands.js'
import { formatSeconds, type WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

/** `emptying`: nobody may start before everybody has left. `filling`: the target release is being started. */
type Phase = 'emptying' | 'filling'

export class FullRestart implements Change {
  readonly reason = 'restart'
  readonly #board: Board
  readonly #release: Release
  readonly #previous: Release
  readonly #begunAt: number
  #phase: Phase = 'emptying'
  #isBack = false
  /** The first moment at which a worker was ready again. */
  #servedAt: number | null = null
  readonly #onProbation = new Set<number>()
  /** Slots that could not be filled on the way back: they are the restart policy's from then on. */
  readonly #givenUp = new Set<number>()
  readonly #failures: WorkerFailure[] = []

  constructor(board: Board, release: Release) {
    this.#board = board
    this.#release = release
    this.#previous = board.release
    this.#begunAt = board.now
    const { generation, workers } = release
    board.emit({ type: 'progress', progress: { event: 'restarting', generation, workers } })
    this.#empty()
  }

  releaseOf(generation: number): Release | null {
    return generation === this.#release.generation ? this.#release : null
  }

  holds(): boolean {
    return this.#phase === 'emptying'
  }

  isCanary(): boolean {
    return false
  }

  tookOver(_slot: Slot, handle: WorkerHandle, isProved: boolean): void {
    this.#servedAt ??= this.#board.now
    if (!this.#isBack && !isProved) this.#onProbation.add(handle.id)
  }

  isOnProbation(handle: WorkerHandle): boolean {
    return this.#onProbation.has(handle.id)
  }

  probationPassed(handle: WorkerHandle): void {
    this.#onProbation.delete(handle.id)
  }

  lost(slot: Slot, _handle: WorkerHandle, failure: WorkerFailure): boolean {
    // A worker that dies instead of draining has left all the same.
    if (this.#phase === 'emptying') return true
    if (this.#isBack) {
      this.#givenUp.add(slot.index)
      return false
    }
    this.#failures.push(failure)
    this.#isBack = true
    this.#onProbation.clear()
    this.#empty()
    return true
  }

  advance(): OperationResult | null {
    const { pool } = this.#board
    if (this.#phase === 'emptying') {
      if (pool.live.length > 0) return null
      this.#fill()
      return null
    }
    const isFilled = pool.slots.every(
      ({ index, serving }) => serving?.state === 'ready' || this.#givenUp.has(index),
    )
    return isFilled && this.#onProbation.size === 0 ? this.#over() : null
  }

  #empty(): void {
    this.#phase = 'emptying'
    this.#servedAt = null
    for (const slot of this.#board.pool.slots) this.#board.clearWait(slot)
    for (const handle of this.#board.pool.live) this.#board.retire(handle, this.reason)
  }

  #fill(): void {
    const target = this.#isBack ? this.#previous : this.#release
    this.#phase = 'filling'
    this.#board.resize(target)
    for (const slot of this.#board.pool.slots) {
      slot.generation = target.generation
      slot.policy.forget()
    }
  }

  #over(): OperationResult {
    const ms = Math.round(this.#board.now - this.#begunAt)
    const gapMs = Math.round((this.#servedAt ?? this.#board.now) - this.#begunAt)
    const gap = `no worker took new work for ${formatSeconds(gapMs)}`
    const failures = this.#failures
    if (!this.#isBack) {
      const { generation } = this.#release
      this.#board.release = this.#release
      this.#board.emit({ type: 'progress', progress: { event: 'restarted', generation, ms, gapMs } })
      const message = `${countWorkers(this.#release)} restarted with generation ${generation}; ${gap}`
      return { ok: true, exitCode: 0, message, generation, failures: [] }
    }
    const { generation } = this.#previous
    this.#board.emit({
      type: 'progress',
      progress: { event: 'restartFailed', generation: this.#release.generation, gapMs, failures },
    })
    const message = `generation ${this.#release.generation} could not be started, generation ${generation} was started again (${gap}): ${describeFailure(failures[0])}`
    return { ok: false, exitCode: ROLLED_BACK, message, generation, failures }
  }
}
