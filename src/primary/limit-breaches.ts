// What becomes of a worker that has crossed a limit (src/primary/worker-limits.ts tells). Pure, on the board.
//
// A soft limit (memory, CPU, age) costs no request: a replacement is started first, and the worker drains when that is
// ready. At most `maxSurge` slots at a time are in this, so that a leak that all workers share does not double the memory of
// the machine; while a change is under way nobody is replaced for a limit. It is no crash and counts in no intensity,
// unless the worker crossed the limit soon after it was ready: then its successor would too, and restart policy
// slows that down. The hard limit and a loop that stands still are failures: the worker is lost, as in a crash.

import { describeBreach, type LimitBreach } from '../shared/limits.js'
import type { Board } from './board.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

/** ms of being ready in which no worker should have crossed a limit. */
const SOON = 30_000

export class LimitBreaches {
  readonly #board: Board
  readonly #fail: (handle: WorkerHandle, reason: string) => void

  /** @param fail sends a worker away, and deals with its slot as after a crash. */
  constructor(board: Board, fail: (handle: WorkerHandle, reason: string) => void) {
    this.#board = board
    this.#fail = fail
  }

  breached(handle: WorkerHandle, breach: LimitBreach): void {
    const { state, pid } = handle
    if (state !== 'ready' || pid === null || this.#board.isStopping) return
    const { limit } = breach
    if (limit === 'hangTimeout') {
      this.#tell(handle, pid, breach)
      // It hears no order. Its exit is what follows.
      handle.dropReason ??= `was killed: ${describeBreach(breach)}`
      this.#board.emit({ type: 'kill', id: handle.id, signal: 'SIGKILL' })
    } else if (limit === 'maxMemoryHard') {
      this.#tell(handle, pid, breach)
      this.#fail(handle, `was sent away: ${describeBreach(breach)}`)
    } else if (handle.overLimit === null && !handle.mustGo) {
      this.#tell(handle, pid, breach)
      handle.overLimit = breach
    }
  }

  /** Lets those begin their replacement whose turn it is. */
  advance(): void {
    if (this.#board.change !== null) return
    const over = this.#board.pool.slots.filter(isOverLimit)
    // Who waits for its next start takes nobody's turn.
    let begun = over.filter(({ serving, nextStartAt }) => serving?.mustGo && nextStartAt === null).length
    for (const slot of over) {
      const { serving } = slot
      if (serving === null || serving.mustGo) continue
      if (begun >= this.#board.release.maxSurge || this.#board.isStopping) return
      serving.mustGo = true
      if (isTooSoon(serving, this.#board.now)) {
        const reason = serving.overLimit === null ? '' : describeBreach(serving.overLimit)
        this.#board.restartLater(slot, null, `${reason}, ${SOON / 1_000} s or less after it was ready`)
      }
      if (slot.nextStartAt === null) begun++
    }
  }

  #tell({ slot, generation }: WorkerHandle, pid: number, breach: LimitBreach): void {
    this.#board.emit({
      type: 'progress',
      progress: { event: 'workerOverLimit', slot, pid, generation, ...breach },
    })
  }
}

const isOverLimit = ({ serving }: Slot): boolean => serving?.state === 'ready' && serving.overLimit !== null

/** A worker's age is what its configuration says. */
const isTooSoon = ({ overLimit, readyAt }: WorkerHandle, now: number): boolean =>
  overLimit?.limit !== 'maxUptime' && readyAt !== null && now - readyAt < SOON
