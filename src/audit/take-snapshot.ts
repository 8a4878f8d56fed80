// Who holds which sockets, now: from /proc where there is one, else from lsof. What follows from it is not known here.

import { existsSync } from 'node:fs'
import { ForksafeError } from '../shared/errors.js'
import { readFromLsof } from './lsof-source.js'
import { readFromProc } from './proc-source.js'
import type { Snapshot } from './socket-table.js'

export type SnapshotSource = Snapshot['source']

export interface TakeSnapshotOptions {
  /** Ends the work between two slices; the promise rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Default: `proc` where there is a /proc, else `lsof`; FORKSAFE_AUDIT_SOURCE says otherwise. */
  source?: SnapshotSource | undefined
}

/**
 * The sockets of these processes, in the order of `pids`; one that has gone or may not be read is there with a `problem`.
 *
 * The event loop gets its turn every few milliseconds, however many sockets there are. So the snapshot is of a span and not
 * of an instant: of sockets that come and go meanwhile some are in it and some are not.
 *
 * @throws FORKSAFE_ERR_AUDIT_UNAVAILABLE: there is no /proc, and lsof is missing, failed or took longer than 10 s.
 * @throws FORKSAFE_ERR_OPTION_INVALID: FORKSAFE_AUDIT_SOURCE is neither `proc` nor `lsof`.
 */
export const takeSnapshot = async (
  pids: readonly number[],
  { signal, source = defaultSource() }: TakeSnapshotOptions = {},
): Promise<Snapshot> =>
  source === 'proc' ? await readFromProc(pids, { signal }) : await readFromLsof(pids, { signal })

/** Asked anew each time: a test may set the variable. */
export const defaultSource = (): SnapshotSource => {
  const wanted = process.env.FORKSAFE_AUDIT_SOURCE
  if (wanted === 'proc' || wanted === 'lsof') return wanted
  if (wanted !== undefined && wanted !== '')
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      `FORKSAFE_AUDIT_SOURCE: ${JSON.stringify(wanted)} is not a source of sockets; use proc or lsof`,
      { details: { field: 'FORKSAFE_AUDIT_SOURCE', value: wanted } },
    )
  return existsSync('/proc/self/fd') && existsSync('/proc/self/net') ? 'proc' : 'lsof'
}
