// Connections that the other side has closed and this one has not: each is a descriptor that nobody will ever use again.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'
import { showEndpoint } from '../socket-table.js'

/** One or two may be about to be read to their end; three at once that stay are a pile. */
const PILE = 3

export const closeWaits = ({ sockets, facts, who, role, isStill }: AuditedTree): Finding[] => {
  const stuck = sockets.filter(({ pid, socket }) => socket.state === 'close-wait' && isStill(pid, socket))
  const placeOf = ({ endpoint, socket }: (typeof stuck)[number]): string =>
    endpoint ?? `clients of ${socket.local === null ? '?' : showEndpoint(socket.local)}`
  return [...groupBy(stuck, (each) => `${each.pid} ${placeOf(each)}`).values()].flatMap((held): Finding[] => {
    const [first] = held
    if (first === undefined) return []
    const { pid, endpoint } = first
    // A worker whose loop stands still has not come to it: what it does not close is not the fault of its code.
    const isBlocked = role(pid) === 'worker' && facts.members.get(pid)?.origins === null
    // It hands over what comes in when a worker takes it; who gave up meanwhile waits there too.
    const isWaiting = role(pid) === 'primary' && endpoint === null
    const sites = [...new Set(held.flatMap(({ origin }) => origin?.at ?? []))]
    const opened = sites.length === 0 ? '' : `, opened at ${sites.slice(0, 3).join(', ')}`
    return [
      {
        kind: 'closeWait',
        severity: held.length >= PILE && !isBlocked && !isWaiting ? 'problem' : 'note',
        who: who(pid),
        pid,
        endpoint,
        what: `has not closed ${many(held.length, 'connection')} ${endpoint === null ? `of ${placeOf(first)}` : `to ${endpoint}`} that the other side has closed (CLOSE_WAIT)${opened}${isBlocked ? '; it does not answer, its event loop may stand still' : ''}${isWaiting ? '; they wait until a worker takes them' : ''}`,
        todo:
          isBlocked || isWaiting
            ? 'look at what the workers are doing: supervisor status shows the delay of their event loops'
            : "read each connection to its end and close it: 'end' without end() or destroy() (allowHalfOpen) leaves it like this",
        count: held.length,
      },
    ]
  })
}
