// For tests: whether all sockets that were opened are gone again. What a socket looks like in words: describe-socket.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Duration, formatDuration, parseDuration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { describeSocket } from './describe-socket.js'
import { isGone } from './process-problem.js'
import { type SnapshotOptions, snapshot } from './snapshot.js'
import type { HeldSocket, ProcessSockets, Snapshot } from './socket-table.js'

export interface AssertNoLeaksOptions extends SnapshotOptions {
  /** How long sockets may take to be gone: ms, or a string like `'5s'`. Default 2 s; 0 looks once. */
  within?: Duration | undefined
  /** True for a socket that may stay. */
  ignore?: ((socket: HeldSocket, process: ProcessSockets) => boolean) | undefined
}

const WITHIN = 2_000
/** ms between two looks; it doubles from the first to the last, for a socket is gone at once or takes its time. */
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 200
/** In the message; `details` has all. */
const MOST_TOLD = 20

interface Leak {
  socket: HeldSocket
  process: ProcessSockets
}

/**
 * Waits until every socket that is not in `before` is gone, whether it is connected, listening or neither.
 *
 * Sockets are matched by inode: one that was closed and opened again is a new one. Without `before` none may be there
 * but unix sockets without a name, which Node has for stdio, for its channel to a parent and for children; the client's
 * end of a connection to a unix socket looks like them and is found only with `before`. What counts is what the process
 * holds: a TCP connection in `time-wait` is nobody's any more.
 *
 * A connection that an HTTP agent or `fetch` keeps for the next request is one: close the agent, or `ignore` it.
 *
 * @param before what `snapshot()` said before the work, of the same processes.
 * @param options.within  how long to wait for the last one, default 2 s; it is looked at once at least.
 * @param options.pid     whose sockets; default: the first process in `before`, else this process.
 * @param options.tree    also those of everything that descends from it; default false.
 * @throws FORKSAFE_ERR_AUDIT_LEAK (not retryable): some are left. The message has a line for each of the first 20, with
 *   descriptor, endpoints, state and how long ago it was opened at most; `details.sockets` has all of these lines.
 * @throws FORKSAFE_ERR_AUDIT_UNAVAILABLE (not retryable): sockets cannot be listed here, or may not be read.
 * @throws FORKSAFE_ERR_OPTION_INVALID (not retryable): `within` is no duration.
 */
export const assertNoLeaks = async (
  before?: Snapshot,
  { within = WITHIN, ignore = () => false, ...options }: AssertNoLeaksOptions = {},
): Promise<void> => {
  const bound = parseDuration('within', within)
  const pid = options.pid ?? before?.processes[0]?.pid
  const isExpected = before === undefined ? isNodesOwn : isOneOf(before)
  const end = performance.now() + bound
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const now = await snapshot({ ...options, pid })
    const leaks = leaksIn(now, (leak) => isExpected(leak.socket) || ignore(leak.socket, leak.process))
    if (leaks.length === 0) return
    const left = end - performance.now()
    if (left <= 0) throw leakError(leaks, bound, before === undefined ? null : now.takenAt - before.takenAt)
    await sleep(Math.min(pause, left), undefined, options.signal ? { signal: options.signal } : {})
  }
}

const isNodesOwn = ({ kind, path }: HeldSocket): boolean => kind === 'unix' && path === null

const isOneOf = (before: Snapshot): ((socket: HeldSocket) => boolean) => {
  const inodes = new Set(before.processes.flatMap(({ sockets }) => sockets.map(({ inode }) => inode)))
  return ({ inode }) => inodes.has(inode)
}

const leaksIn = ({ processes }: Snapshot, isExpected: (leak: Leak) => boolean): Leak[] => {
  const unreadable = processes.find((process) => process.problem !== null && !isGone(process))
  if (unreadable !== undefined)
    throw new ForksafeError(
      'FORKSAFE_ERR_AUDIT_UNAVAILABLE',
      `the sockets of process ${unreadable.pid} cannot be read: ${unreadable.problem}`,
      { details: { pid: unreadable.pid } },
    )
  return processes.flatMap((process) =>
    process.sockets.map((socket) => ({ socket, process })).filter((leak) => !isExpected(leak)),
  )
}

/** @param most ms since before any of them was there; null where that is not known. */
const leakError = (leaks: readonly Leak[], bound: number, most: number | null): ForksafeError => {
  const age = most === null ? '' : `, opened at most ${formatDuration(Math.ceil(most / 100) * 100)} ago`
  const lines = leaks.map(
    ({ socket, process }) => `fd ${socket.fd} of process ${process.pid}: ${describeSocket(socket)}${age}`,
  )
  const told = lines.slice(0, MOST_TOLD)
  const more = lines.length > told.length ? [`… and ${lines.length - told.length} more`] : []
  const head = `sockets left open after ${formatDuration(bound)}: ${leaks.length}; close each, or let \`ignore\` say that it may stay:`
  return new ForksafeError('FORKSAFE_ERR_AUDIT_LEAK', [head, ...told, ...more].join('\n  '), {
    details: { count: leaks.length, sockets: lines },
  })
}
