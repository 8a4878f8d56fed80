// The public way to a snapshot: of this process or of another one, alone or with all that descends from it.

import { processTree } from './process-tree.js'
import type { Snapshot } from './socket-table.js'
import { takeSnapshot } from './take-snapshot.js'

export interface SnapshotOptions {
  /** Whose sockets. Default: this process. */
  pid?: number | undefined
  /** Also those of everything that descends from it. Default false. */
  tree?: boolean | undefined
  /** Ends the work; the promise rejects with its reason. */
  signal?: AbortSignal | undefined
}

/**
 * Which sockets a process holds now: listening, connected and neither.
 *
 * Read from /proc on Linux, from `lsof` elsewhere and with FORKSAFE_AUDIT_SOURCE=lsof. The event loop is not blocked,
 * however many there are; sockets that come or go meanwhile may be in it or not. A process that is gone, or that may not
 * be read, is in it without sockets and with a `problem`.
 *
 * @returns processes, `pid` first, each with its sockets; `unowned` has the TCP sockets of the whole network
 *   namespace that no process holds, such as those in `time-wait`, and is always empty from lsof.
 * @throws FORKSAFE_ERR_AUDIT_UNAVAILABLE (not retryable): there is no /proc, and lsof is missing, failed or took longer than 10 s.
 * @throws FORKSAFE_ERR_OPTION_INVALID (not retryable): FORKSAFE_AUDIT_SOURCE is neither `proc` nor `lsof`.
 */
export const snapshot = async ({
  pid = process.pid,
  tree = false,
  signal,
}: SnapshotOptions = {}): Promise<Snapshot> =>
  await takeSnapshot(tree ? await processTree(pid) : [pid], { signal })
