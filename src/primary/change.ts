// A change of the workers that somebody asked for: a rolling restart, a restart, a scaling. One at a time is under way
// (src/primary/change-queue.ts has those that wait); each kind is a class of its own that answers the same questions.
// Not a change in this sense: replacing what has crashed (src/primary/slot-keeper.ts), and the stop, which wins over all.

import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import type { DrainReason } from '../shared/protocol.js'
import type { Release } from './commands.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

export interface Change {
  /** Why the workers that it sends away have to go. */
  readonly reason: DrainReason
  /** The release of a generation that only this change knows, or null. */
  releaseOf(generation: number): Release | null
  /** Whether the slot is in its hands, so that nobody else starts a worker there. */
  holds(slot: Slot): boolean
  /** Whether the replacement in this slot, ready now, has to live `minUptime` before it takes over. */
  isCanary(slot: Slot): boolean
  /** A worker of the slot is ready and serves. `isProved`: it has lived `minUptime`. */
  tookOver(slot: Slot, handle: WorkerHandle, isProved: boolean): void
  /** Whether a worker may still turn the change back although it serves already. */
  isOnProbation(handle: WorkerHandle): boolean
  /** The worker has lived `minUptime`, or has gone as it was told to. */
  probationPassed(handle: WorkerHandle): void
  /** A worker is lost. True: that has been dealt with; false: it is a crash like any other. */
  lost(slot: Slot, handle: WorkerHandle, failure: WorkerFailure, wasReplacement: boolean): boolean
  /** Goes on as far as it can now; returns the result when it is over, else null. */
  advance(): OperationResult | null
}

/** Exit code of a change that was given up; docs/cli.md. */
export const ROLLED_BACK = 5

/** `3 workers`, `3 workers and 1 relay worker`. */
export const countWorkers = ({ workers, relays }: Pick<Release, 'workers' | 'relays'>): string => {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
  const ofApp = count(workers - relays, 'worker')
  return relays === 0 ? ofApp : `${ofApp} and ${count(relays, 'relay worker')}`
}

export const describeFailure = (failure: WorkerFailure | undefined): string => {
  if (failure === undefined) return 'no worker told why'
  const { slot, pid, reason } = failure
  return `worker ${slot}${pid === null ? '' : ` (pid ${pid})`} ${reason}`
}
