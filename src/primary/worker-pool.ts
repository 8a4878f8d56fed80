// The slots and the handles in them. It indexes and answers questions; it starts, stops and decides nothing
// (src/primary/supervisor-core.ts does), so it is tested with no process at all.

import type { LastExit } from '../shared/status.js'
import { RestartPolicy } from './restart-policy.js'
import type { WorkerHandle } from './worker-handle.js'

export class Slot {
  readonly index: number
  /** The worker that this slot relies on: starting or ready. */
  serving: WorkerHandle | null = null
  /** A worker that shall take over from `serving` once it is ready. */
  replacement: WorkerHandle | null = null
  /** The generation that a replacement after a crash starts with. */
  generation: number
  readonly policy = new RestartPolicy()
  restarts = 0
  lastExit: LastExit | null = null
  /** While the slot waits in backoff: when the next attempt is due, monotonic; else null. */
  nextStartAt: number | null = null

  constructor(index: number, generation: number) {
    this.index = index
    this.generation = generation
  }
}

export class WorkerPool {
  readonly slots: Slot[] = []
  readonly #handles = new Map<number, WorkerHandle>()

  add(handle: WorkerHandle): void {
    this.#handles.set(handle.id, handle)
  }

  remove(handle: WorkerHandle): void {
    this.#handles.delete(handle.id)
  }

  /** The handle of a worker that is not gone. */
  get(id: number): WorkerHandle | undefined {
    return this.#handles.get(id)
  }

  slot(index: number): Slot | undefined {
    return this.slots[index]
  }

  /** Every worker that is not gone, oldest first. */
  get live(): WorkerHandle[] {
    return [...this.#handles.values()]
  }

  get leaving(): WorkerHandle[] {
    return this.live.filter((handle) => handle.isLeaving)
  }

  /** Whether each slot has a ready worker and no slot is without one. */
  get isAllReady(): boolean {
    return this.slots.length > 0 && this.slots.every((slot) => slot.serving?.state === 'ready')
  }

  get startingCount(): number {
    return this.live.filter((handle) => handle.state === 'starting').length
  }
}
