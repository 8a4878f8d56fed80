// What a running supervisor lets others do with it: the face that src/control serves over the socket and that
// supervise() hands to programs. src/primary/supervisor.ts implements it.

import type { LogBuffer } from '../observe/log-buffer.js'
import type { LogLevel } from '../shared/log-level.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { SupervisorStatus } from '../shared/status.js'

export interface Controllable {
  /** Asks the workers for a fresh report, for at most 250 ms; a silent worker shows its last known figures. */
  status(): Promise<SupervisorStatus>
  /**
   * Rolls all workers to the release that script and configuration name now. Never rejects: the result tells.
   * A call during a rolling restart is coalesced into one more round after it.
   */
  reload(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /** Stops everything within `stopTimeout`; `now` leaves the workers 250 ms. Never rejects. */
  stop(
    options?: { now?: boolean; reason?: string },
    onProgress?: (progress: Progress) => void,
  ): Promise<OperationResult>
  readonly logs: LogBuffer
  /** Least level of the supervisor's own lines; setting it changes the log from now on. */
  logLevel: LogLevel
}
