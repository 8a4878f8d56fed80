// A connection of the primary to somewhere: the next fork copies it into a worker. Guarded clients and protected resources
// of the primary are closed before each fork, so theirs are none.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'
import type { SocketRow } from '../socket-table.js'

const DNS_PORT = 53

/** The resolver's, for as long as the answer takes. */
export const isLookUp = ({ kind, remote }: SocketRow): boolean => kind === 'udp' && remote?.port === DNS_PORT

export const connectionsInPrimary = ({ facts, sockets, who, role, isStill }: AuditedTree): Finding[] => {
  const own = sockets.filter(
    ({ pid, socket, direction }) => direction === 'outgoing' && role(pid) === 'primary' && !isLookUp(socket),
  )
  const marked = new Set(own.flatMap(({ origin }) => origin?.client?.name ?? []))
  // Of a socket that was not seen being dialled (TLS on Node 20) it is not known whose it is: one for each resource.
  let spare = facts.resources.filter((name) => !marked.has(name)).length
  const wasSeenInFork = (endpoint: string | null): boolean =>
    facts.forkFindings.some((past) => past.kind === 'connectionInPrimary' && past.endpoint === endpoint)
  const suspects = own.filter(({ pid, socket, origin, endpoint }) => {
    if (origin?.client != null || !isStill(pid, socket)) return false
    // What a resource holds is closed before a fork: what was there in one is nobody's.
    return origin !== null || wasSeenInFork(endpoint) || --spare < 0
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
