// Two processes with one connection: what is read by the one is missing to the other, and a close of one closes nothing.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy } from '../audited-tree.js'
import { LAST_STDIO, showEndpoint } from '../socket-table.js'
import type { TreeSocket } from '../tree-sockets.js'

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
  // As many as they may be, of one cause they are one finding.
  const alike = groupBy(shared, (holders) => causeOf(holders, role)).values()
  return [...alike].map((group): Finding => {
    const holders = group[0] ?? []
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
      // A unix socket that came down from the session of whoever started us is nobody's connection to anywhere.
      severity: isInherited && first?.socket.kind === 'unix' ? 'note' : 'problem',
      who: who(pid),
      pid,
      endpoint: first?.endpoint ?? null,
      what: isInherited
        ? `has ${what} at fd ${fd}, and so ${others.length === 1 ? 'has' : 'have'} ${others.join(', ')}: it came from whoever started the supervisor`
        : `has ${what} at fd ${fdOf(holders, pid)} in common with ${others.join(', ')}${at == null ? '' : `, opened at ${at}`}${group.length === 1 ? '' : `, and ${group.length - 1} more like it`}`,
      todo: isInherited
        ? `close it where the supervisor is started: exec ${fd}>&-`
        : 'open it in the process that uses it, after the fork, and do not pass it with send()',
      count: group.length,
    }
  })
}

/** Who has it, and what it is: by the endpoint, or the port at which it came in. */
const causeOf = (holders: readonly TreeSocket[], role: AuditedTree['role']): string => {
  const pids = [...new Set(holders.map(({ pid }) => pid))].sort((a, b) => a - b)
  const [first] = holders
  const isPrimarys = pids.some((pid) => role(pid) === 'primary')
  const fds = new Set(holders.map(({ socket }) => socket.fd))
  // Each descriptor of a launcher has to be closed by itself.
  const fd = isPrimarys && fds.size === 1 ? first?.socket.fd : ''
  const place = first?.endpoint ?? first?.socket.local?.port ?? first?.socket.path ?? ''
  return `${pids} ${first?.socket.kind} ${first?.direction} ${place} ${fd}`
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
