// Changing the number of workers while the others go on: new slots are filled, or the last ones drained and taken away.
// A new slot whose first worker fails turns the change back: as many workers run as before. Nobody is sent away before all
// who shall stay are ready: one of those who leave may be the only one that serves.
// It is the app's workers that are counted, here and in what is told; slots of a relay stand before them and stay.

import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import type { Board } from './board.js'
import { type Change, describeFailure, ROLLED_BACK } from './change.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

export class Scaling implements Change {
  readonly reason = 'scale'
  readonly #board: Board
  readonly #relays: number
  readonly #from: number
  readonly #to: number
  readonly #startedAt: number
  #failure: WorkerFailure | null = null
  #isResized = false

  constructor(board: Board, to: number) {
    this.#board = board
    this.#relays = board.release.relays
    this.#from = board.release.workers - this.#relays
    this.#to = to
    this.#startedAt = board.now
    board.emit({ type: 'progress', progress: { event: 'scaling', from: this.#from, to } })
    if (to >= this.#from) this.#resize(to)
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
    if (this.#failure !== null) return false
    if (!this.#isResized) {
      if (slot.index < this.#relays + this.#to) this.#failure = failure
      return false
    }
    if (slot.index < this.#relays + this.#from) return false
    this.#failure = failure
    this.#resize(this.#from)
    return true
  }

  advance(): OperationResult | null {
    if (!this.#isResized) this.#sendAway()
    if (this.#failure !== null) return this.#isSurplusGone ? this.#failed(this.#failure) : null
    if (!this.#isResized || !this.#isDone) return null
    const ms = Math.round(this.#board.now - this.#startedAt)
    this.#board.emit({ type: 'progress', progress: { event: 'scaled', from: this.#from, to: this.#to, ms } })
    const message = `${workers(this.#to)} ${this.#to === 1 ? 'runs' : 'run'} (${this.#from} before)`
    return { ok: true, exitCode: 0, message, generation: this.#board.release.generation, failures: [] }
  }

  /** The surplus workers, when those that stay are ready; if one of them cannot be, nobody goes. */
  #sendAway(): void {
    if (this.#failure !== null) return
    const staying = this.#board.pool.slots.slice(0, this.#relays + this.#to)
    const waiting = staying.find(isWaiting)
    if (waiting !== undefined) {
      const reason = `is not ready: ${waiting.lastExit?.reason ?? 'it waits for its next start'}`
      this.#failure = { slot: waiting.index, pid: null, reason }
    } else if (staying.every(({ serving }) => serving?.state === 'ready')) this.#resize(this.#to)
  }

  get #isDone(): boolean {
    const isDone = (slot: Slot): boolean =>
      slot.serving?.state === 'ready' || (slot.index < this.#relays + this.#from && isWaiting(slot))
    return this.#isSurplusGone && this.#board.pool.slots.every(isDone)
  }

  /** Whether nobody is left of slots that the release does not have. */
  get #isSurplusGone(): boolean {
    const { pool, release } = this.#board
    return pool.live.every((handle) => handle.slot < release.workers)
  }

  #failed(failure: WorkerFailure): OperationResult {
    const failures = [failure]
    const { generation } = this.#board.release
    this.#board.emit({
      type: 'progress',
      progress: { event: 'scaleFailed', from: this.#from, to: this.#to, failures },
    })
    const message = `not scaled to ${this.#to}, ${workers(this.#from)} as before: ${describeFailure(failure)}`
    return { ok: false, exitCode: ROLLED_BACK, message, generation, failures }
  }

  #resize(workers: number): void {
    this.#isResized = true
    this.#board.release = { ...this.#board.release, workers: this.#relays + workers }
    this.#board.resize(this.#board.release)
  }
}

/** Empty until its backoff is over. */
const isWaiting = ({ serving, nextStartAt }: Slot): boolean => serving === null && nextStartAt !== null

const workers = (count: number): string => `${count} worker${count === 1 ? '' : 's'}`
