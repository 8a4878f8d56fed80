// More connections of the whole tree to one endpoint than `connectionBudget` allows.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'
import { isLive } from '../tree-sockets.js'

export const overBudget = ({ facts, sockets, who, role, isStill }: AuditedTree): Finding[] =>
  Object.entries(facts.budgets).flatMap(([endpoint, budget]): Finding[] => {
    const held = sockets.filter(
      ({ pid, endpoint: to, socket, direction }) =>
        direction === 'outgoing' &&
        to?.toLowerCase() === endpoint.toLowerCase() &&
        isLive(socket) &&
        // Handed over, one closes while the next one opens.
        isStill(pid, socket),
    )
    // The same socket in two processes is one connection.
    const count = new Set(held.map(({ socket }) => socket.inode)).size
    if (count <= budget) return []
    const byProcess = [...groupBy(held, ({ pid }) => String(pid))].map(
      ([pid, each]) => `${who(Number(pid))}: ${each.length}`,
    )
    const pids = new Set(held.map(({ pid }) => pid))
    const [only] = pids
    return [
      {
        kind: 'overBudget',
        severity: 'problem',
        who: pids.size === 1 && only !== undefined ? who(only) : 'this supervisor',
        pid: pids.size === 1 && only !== undefined ? only : null,
        endpoint,
        what: `holds ${many(count, 'connection')} to ${endpoint}, where its budget is ${budget} (${byProcess.join('; ')})`,
        todo: [...pids].some((pid) => role(pid) === 'orphan')
          ? 'end the orphan'
          : 'share one: guardedClient() with exclusive: true, or raise connectionBudget',
        count,
      },
    ]
  })
