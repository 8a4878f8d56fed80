// A connection of the primary to somewhere: the next fork copies it into a worker. Guarded clients and protected resources
// of the primary are closed before each fork, so theirs are none.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'

export const connectionsInPrimary = ({ sockets, who, role, isStill }: AuditedTree): Finding[] => {
  const suspects = sockets.filter(
    ({ pid, socket, direction, origin }) =>
      direction === 'outgoing' &&
      role(pid) === 'primary' &&
      (origin?.client ?? null) === null &&
      socket.state !== 'time-wait' &&
      isStill(pid, socket),
  )
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
