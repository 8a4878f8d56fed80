// Changing the number of workers while the others go on: new slots are filled, or the last ones drained and taken away.
// A new slot whose first worker fails turns the change back: as many workers run as before.

import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import type { Board } from './board.js'
import { type Change, describeFailure, ROLLED_BACK } from './change.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

export class Scaling implements Change {
  readonly reason = 'scale'
  readonly #board: Board
  readonly #from: number
  readonly #to: number
  readonly #startedAt: number
  #failure: WorkerFailure | null = null

  constructor(board: Board, to: number) {
    this.#board = board
    this.#from = board.release.workers
    this.#to = to
    this.#startedAt = board.now
    board.emit({ type: 'progress', progress: { event: 'scaling', from: this.#from, to } })
    this.#resize(to)
  }

  releaseOf(): null {
    return null
  }

  holds(): boolean {
    return false
  }

  isCanary(): boolean {
    return false
  }

  tookOver(): void {}

  isOnProbation(): boolean {
    return false
  }

  probationPassed(): void {}

  lost(slot: Slot, _handle: WorkerHandle, failure: WorkerFailure): boolean {
    if (slot.index < this.#from || this.#failure !== null) return false
    this.#failure = failure
    this.#resize(this.#from)
    return true
  }

  advance(): OperationResult | null {
    const { pool, release, now } = this.#board
    if (pool.live.some((handle) => handle.slot >= release.workers)) return null
    if (this.#failure === null) {
      const added = pool.slots.slice(this.#from)
      if (added.some(({ serving }) => serving?.state !== 'ready')) return null
    }
    const ms = Math.round(now - this.#startedAt)
    const { generation } = release
    if (this.#failure === null) {
      this.#board.emit({
        type: 'progress',
        progress: { event: 'scaled', from: this.#from, to: this.#to, ms },
      })
      const message = `${workers(this.#to)} ${this.#to === 1 ? 'runs' : 'run'} (${this.#from} before)`
      return { ok: true, exitCode: 0, message, generation, failures: [] }
    }
    const failures = [this.#failure]
    this.#board.emit({
      type: 'progress',
      progress: { event: 'scaleFailed', from: this.#from, to: this.#to, failures },
    })
    const message = `not scaled to ${this.#to}, ${workers(this.#from)} as before: ${describeFailure(this.#failure)}`
    return { ok: false, exitCode: ROLLED_BACK, message, generation, failures }
  }

  #resize(workers: number): void {
    this.#board.release = { ...this.#board.release, workers }
    this.#board.resize(this.#board.release)
  }
}

const workers = (count: number): string => `${count} worker${count === 1 ? '' : 's'}`
