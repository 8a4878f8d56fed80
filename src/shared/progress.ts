// What a long operation (start, reload, restart, scale, stop) tells while it goes on. The same objects are emitted by a supervisor,
// logged, and streamed to the CLI as one JSON object a line.

import type { Finding } from './finding.js'
import type { LimitBreach } from './limits.js'

/** A worker as an event names it. */
export interface WorkerRef {
  slot: number
  pid: number
  generation: number
}

/** What is exclusive. */
export interface LeaseRef {
  kind: 'client' | 'task'
  identity: string
}

export type Progress =
  | ({ event: 'workerStarting' } & WorkerRef)
  | ({ event: 'workerReady'; by: string; ms: number } & WorkerRef)
  | ({ event: 'workerDraining'; reason: string } & WorkerRef)
  | ({
      event: 'workerExited'
      code: number | null
      signal: string | null
      reason: string
      expected: boolean
    } & WorkerRef)
  /** It crossed one of its limits and is replaced, or ended where the limit says so. */
  | ({ event: 'workerOverLimit' } & LimitBreach & WorkerRef)
  /** `crashes` within `restart.period`, this one included. */
  | { event: 'workerWaiting'; slot: number; ms: number; reason: string; crashes: number }
  /** A worker has something exclusive open. `gapMs`: how long nobody had it open; null: nobody had it before. */
  | ({ event: 'leaseAcquired'; gapMs: number | null } & LeaseRef & WorkerRef)
  /** The same, and another worker had it before. */
  | ({ event: 'leaseHandedOff'; fromSlot: number; gapMs: number } & LeaseRef & WorkerRef)
  | ({ event: 'leaseLost'; reason: string } & LeaseRef & WorkerRef)
  /** What a worker was granted is held outside: by whom, and since when (unix ms), as far as is known. */
  | ({ event: 'leaseBlocked'; ownerPid: number; owner: string | null; since: number | null } & LeaseRef &
      WorkerRef)
  /** A worker does not read: so many batches of incoming messages (`fanout`) were not handed to it. */
  | ({ event: 'fanoutDropped'; batches: number } & WorkerRef)
  /** A process shares a socket, or the primary held a connection while it forked; once for each distinct one. */
  | ({ event: 'forkFinding' } & Finding)
  | { event: 'reloading'; generation: number; slots: number[] }
  | { event: 'reloaded'; generation: number; ms: number }
  | { event: 'reloadFailed'; generation: number; failures: WorkerFailure[] }
  | { event: 'restarting'; generation: number; workers: number }
  /** `gapMs`: how long no worker took new work. */
  | { event: 'restarted'; generation: number; ms: number; gapMs: number }
  | { event: 'restartFailed'; generation: number; gapMs: number; failures: WorkerFailure[] }
  | { event: 'scaling'; from: number; to: number }
  | { event: 'scaled'; from: number; to: number; ms: number }
  | { event: 'scaleFailed'; from: number; to: number; failures: WorkerFailure[] }
  /** `budget`: ms until all is over; everything goes on serving for the first `delay` of them. */
  | { event: 'stopping'; reason: string; delay: number; budget: number }
  /** The delay of a stop is over, or was cut short: the workers drain. */
  | { event: 'draining'; reason: string; budget: number }
  | { event: 'stopped'; ms: number; forced: number }

export interface WorkerFailure {
  slot: number
  pid: number | null
  reason: string
}

/** How an operation ended; `exitCode` as in docs/cli.md. */
export interface OperationResult {
  ok: boolean
  exitCode: number
  message: string
  generation: number
  failures: WorkerFailure[]
}
