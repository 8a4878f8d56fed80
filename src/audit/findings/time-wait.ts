// Connections that were closed within the last minute: a pile of them to one endpoint says that somebody connects anew for
// each message. The kernel keeps each one and its port for 60 s (RFC 9293 section 3.6.1).

import type { Finding } from '../../shared/finding.js'
import type { AuditFacts } from '../audit-facts.js'
import { type AuditedTree, groupBy } from '../audited-tree.js'
import { type Endpoint, showEndpoint } from '../socket-table.js'
import { portsListenedOn, type TreeSocket } from '../tree-sockets.js'

/** More than three connections a second for the whole minute, to one place. */
const PILE = 200

export const timeWaits = ({ facts, names, trends, sockets }: AuditedTree): Finding[] => {
  const ports = new Set([...facts.listenedPorts, ...portsListenedOn(facts.look)])
  const rows = facts.look.unowned.filter(
    ({ state, local, remote }) =>
      state === 'time-wait' && remote !== null && !(local !== null && ports.has(local.port)),
  )
  const ours = endpointsOfTree(facts, sockets)
  return [...groupBy(rows, ({ remote }) => nameOf(remote, names))]
    .filter(([endpoint, group]) => group.length >= PILE && (ours.has(endpoint) || trends.has(endpoint)))
    .map(([endpoint, group]) => ({
      kind: 'timeWait',
      severity: 'problem',
      who: 'this supervisor',
      pid: null,
      endpoint,
      what: `closed about ${group.length} connections to ${endpoint} within the last minute (TIME_WAIT)`,
      todo: 'keep one connection and use it again: a guardedClient(), or an agent with keepAlive',
      count: group.length,
    }))
}

const nameOf = (remote: Endpoint | null, names: ReadonlyMap<string, string>): string => {
  const address = remote === null ? '' : showEndpoint(remote)
  return names.get(address) ?? address
}

/** The kernel does not say whose they were, and the machine has others: those count to which the tree is known to go. */
const endpointsOfTree = ({ members }: AuditFacts, sockets: readonly TreeSocket[]): Set<string> => {
  const dialled = [...members.values()].flatMap(({ origins }) =>
    (origins ?? []).flatMap(({ host, port, closed }) =>
      host === null || closed === 0 ? [] : [showEndpoint({ address: host, port })],
    ),
  )
  return new Set([...dialled, ...sockets.flatMap(({ endpoint }) => endpoint ?? [])])
}
