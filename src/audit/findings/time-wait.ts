// Connections that were closed within the last minute: a pile of them to one endpoint says that somebody connects anew for
// each message. The kernel keeps each one and its port for 60 s (RFC 9293 section 3.6.1).

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy } from '../audited-tree.js'
import { portsListenedOn, showEndpoint } from '../tree-sockets.js'

/** More than three connections a second for the whole minute, to one place. */
const PILE = 200

export const timeWaits = ({ facts, names, trends, sockets }: AuditedTree): Finding[] => {
  const ports = new Set([...facts.listenedPorts, ...portsListenedOn(facts.look)])
  const rows = facts.look.unowned.filter(
    ({ state, local, remote }) =>
      state === 'time-wait' && remote !== null && !(local !== null && ports.has(local.port)),
  )
  // The kernel says not whose they were, and the machine has others: only where the tree goes itself.
  const ours = new Set(
    sockets.flatMap(({ socket, endpoint }) =>
      endpoint === null || socket.remote === null ? [] : [showEndpoint(socket.remote)],
    ),
  )
  return [...groupBy(rows, ({ remote }) => (remote === null ? '' : showEndpoint(remote)))]
    .filter(([, group]) => group.length >= PILE)
    .map(([remote, group]): Finding => {
      const endpoint = names.get(remote) ?? remote
      const isOurs = ours.has(remote) || trends.has(endpoint)
      return {
        kind: 'timeWait',
        severity: isOurs ? 'problem' : 'note',
        who: isOurs ? 'this supervisor' : 'somebody on this machine',
        pid: null,
        endpoint,
        what: `closed ${group.length} connections to ${endpoint} within the last minute (TIME_WAIT; the kernel does not say whose they were)`,
        todo: 'keep one connection and use it again: a guardedClient(), or an agent with keepAlive',
        count: group.length,
      }
    })
}
