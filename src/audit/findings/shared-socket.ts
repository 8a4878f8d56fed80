// Two processes with one connection: what is read by the one is missing to the other, and a close of one closes nothing.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy } from '../audited-tree.js'
import { showEndpoint, type TreeSocket } from '../tree-sockets.js'

/** Stdin, stdout and stderr are shared by whoever starts whom. */
const LAST_STDIO = 2

export const sharedSockets = ({ sockets, who, role, isStill }: AuditedTree): Finding[] => {
  const byInode = groupBy(
    sockets.filter(({ socket }) => socket.inode !== 0),
    ({ socket }) => String(socket.inode),
  )
  const shared = [...byInode.values()].filter(
    (holders) =>
      new Set(holders.map(({ pid }) => pid)).size > 1 &&
      !holders.some(({ socket }) => socket.fd <= LAST_STDIO) &&
      !isByDesign(holders, role) &&
      // Handed over, or in a process that is just being forked, it is in two for a moment.
      holders.filter(({ pid, socket }) => isStill(pid, socket)).length > 1,
  )
  return shared.map((holders) => {
    const pids = [...new Set(holders.map(({ pid }) => pid))]
    const [first] = holders
    const fds = new Set(holders.map(({ socket }) => socket.fd))
    const [fd] = fds
    const isOpenedHere = holders.some(({ origin }) => origin !== null)
    const isInherited = fds.size === 1 && !isOpenedHere && pids.some((pid) => role(pid) === 'primary')
    const what = first === undefined ? 'a socket' : describe(first)
    const named = pids.find((each) => (role(each) === 'primary') === isInherited)
    const pid = named ?? pids[0] ?? 0
    const others = pids.filter((each) => each !== pid).map(who)
    const at = holders.find(({ origin }) => origin?.at != null)?.origin?.at
    return {
      kind: 'sharedSocket',
      severity: 'problem',
      who: who(pid),
      pid,
      endpoint: first?.endpoint ?? null,
      what: isInherited
        ? `has ${what} at fd ${fd}, and so ${others.length === 1 ? 'has' : 'have'} ${others.join(', ')}: it came from whoever started the supervisor`
        : `has ${what} at fd ${fdOf(holders, pid)} in common with ${others.join(', ')}${at == null ? '' : `, opened at ${at}`}`,
      todo: isInherited
        ? `close it where the supervisor is started: exec ${fd}>&-`
        : 'open it in the process that uses it, after the fork, and do not pass it with send()',
      count: pids.length,
    }
  })
}

/** Workers share listeners where node hands no connections over (SCHED_NONE), and always the UDP sockets of node:dgram. */
const isByDesign = (holders: readonly TreeSocket[], role: AuditedTree['role']): boolean =>
  holders.every(
    ({ pid, socket }) =>
      (role(pid) === 'primary' || role(pid) === 'worker') &&
      (socket.state === 'listen' || (socket.kind === 'udp' && socket.state === 'bound')),
  )

const describe = ({ socket, endpoint, direction }: TreeSocket): string => {
  if (direction === 'listening') return `the listener ${addressOf(socket)}`
  if (direction === 'accepted') return `a connection that came in at ${addressOf(socket)}`
  if (endpoint !== null) return `a connection to ${endpoint} (${socket.state})`
  return socket.kind === 'unix' ? `a unix socket ${socket.path ?? ''}`.trimEnd() : `a ${socket.kind} socket`
}

const addressOf = ({ local, path }: TreeSocket['socket']): string =>
  local === null ? (path ?? '?') : showEndpoint(local)

const fdOf = (holders: readonly TreeSocket[], pid: number): string =>
  holders
    .filter((holder) => holder.pid === pid)
    .map(({ socket }) => socket.fd)
    .join(', ')
