// A connection of the primary to somewhere: the next fork copies it into a worker. Guarded clients and protected resources
// of the primary are closed before each fork, so theirs are none.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'

export const connectionsInPrimary = ({ facts, sockets, who, role, isStill }: AuditedTree): Finding[] => {
  const own = sockets.filter(({ pid, direction }) => direction === 'outgoing' && role(pid) === 'primary')
  const marked = new Set(own.flatMap(({ origin }) => origin?.client?.name ?? []))
  // Of a socket that was not seen being dialled (TLS on Node 20) it is not known whose it is: one for each resource.
  let spare = facts.resources.filter((name) => !marked.has(name)).length
  const suspects = own.filter(({ pid, socket, origin }) => {
    if (origin?.client != null || !isStill(pid, socket)) return false
    return origin !== null || --spare < 0
  })
  return [...groupBy(suspects, ({ endpoint }) => endpoint ?? '?')].map(([endpoint, held]) => {
    const [first] = held
    const pid = first?.pid ?? 0
    const sites = [...new Set(held.flatMap(({ origin }) => origin?.at ?? []))]
    return {
      kind: 'connectionInPrimary',
      severity: 'problem',
      who: who(pid),
      pid,
      endpoint,
      what: `holds ${many(held.length, 'connection')} to ${endpoint} that no guarded client owns${sites.length === 0 ? '' : `, opened at ${sites.join(', ')}`}`,
      todo: 'open it in the workers, or make it a guardedClient() or protect() it: then it is closed before each fork',
      count: held.length,
    }
  })
}
