// What the parts of the primary's core share: the workers, the release that is stood by, and the few deeds that all of
// them need. Made by src/primary/supervisor-core.ts.

import type { Random } from '../shared/clock.js'
import type { DrainReason } from '../shared/protocol.js'
import type { Change } from './change.js'
import type { Effect, Release } from './commands.js'
import type { WorkerHandle } from './worker-handle.js'
import type { WorkerOperations } from './worker-operations.js'
import type { Slot, WorkerPool } from './worker-pool.js'

export interface Board {
  readonly pool: WorkerPool
  readonly operations: WorkerOperations
  readonly random: Random
  /** Monotonic ms of the command that is being decided. */
  readonly now: number
  /** The release that the supervisor stands by; a change that fails leaves it as it was. */
  release: Release
  /** The change that is under way. */
  readonly change: Change | null
  readonly isStopping: boolean
  emit(effect: Effect): void
  /** As many slots as the release has workers; surplus ones are drained. */
  resize(release: Release): void
  retire(handle: WorkerHandle, reason: DrainReason): void
  /** The slot need not wait for its next start any more. */
  clearWait(slot: Slot): void
  /** A crash is counted and the slot starts again when its policy says so. `signal` is what ended the process. */
  restartLater(slot: Slot, signal: string | null, reason: string): void
}
