// What a running supervisor lets others do with it: the face that src/control serves over the socket and that
// supervise() hands to programs. src/primary/supervisor.ts implements it.

import type { AuditReport } from '../audit/audit-report.js'
import type { LogBuffer } from '../observe/log-buffer.js'
import type { LogLevel } from '../shared/log-level.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { SupervisorStatus } from '../shared/status.js'

export interface StopRequest {
  /** Nothing is waited for; workers have 250 ms. */
  now?: boolean
  /** A further signal: it ends what the stop waits for now, `shutdownDelay` first, then the drain. */
  repeated?: boolean
  reason?: string
}

export interface Controllable {
  /** Asks the workers for a fresh report, for at most 250 ms; a silent worker shows its last known figures. */
  status(): Promise<SupervisorStatus>
  /** Settles when all workers were ready for the first time, or when the supervisor has stopped before. Never rejects. */
  untilStarted(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /**
   * Rolls all workers to the release that script and configuration name now. Never rejects: the result tells.
   * A call during a rolling restart is coalesced into one more round after it.
   */
  reload(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /**
   * All workers drain and leave, then all are started with what script and configuration name now: a gap, for changes
   * that cannot run side by side. If they cannot run, the release before is started again. Never rejects.
   */
  restart(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /**
   * As many workers as asked for, or more or fewer of them, 1 to 1024; through the same drain. The number stays until
   * the configuration names another one. Never rejects.
   */
  scale(workers: number | { by: number }, onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /**
   * Hands the connection of an exclusive client to the worker of that slot, or to the one that is next; back, if that one
   * cannot open it. Never rejects.
   */
  handOff(client: string, slot: number | null): Promise<OperationResult>
  /** Stops everything within `shutdownDelay` and `stopTimeout`. Never rejects. */
  stop(options?: StopRequest, onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /** Who holds which sockets, and what of it does not belong: `audit()`, and `count()` for one port. */
  readonly audits: { audit(): Promise<AuditReport>; count(port: number): Promise<number> }
  readonly logs: LogBuffer
  /** Least level of the supervisor's own lines; setting it changes the log from now on. */
  logLevel: LogLevel
}
