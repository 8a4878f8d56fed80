// A connection to somewhere that a worker was handed by another process: nobody drains it, closes it in a restart or dials
// it again. What came in at a listener of the tree is handed over with good reason (sticky sessions).

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'

export const passedConnections = ({ sockets, who, isStill }: AuditedTree): Finding[] => {
  const passed = sockets.filter(
    ({ pid, socket, direction, origin }) =>
      origin?.passed === true && direction === 'outgoing' && isStill(pid, socket),
  )
  return [...groupBy(passed, ({ pid, endpoint }) => `${pid} ${endpoint}`).values()].map((held) => {
    const [first] = held
    const pid = first?.pid ?? 0
    const endpoint = first?.endpoint ?? null
    return {
      kind: 'passedConnection',
      severity: 'problem',
      who: who(pid),
      pid,
      endpoint,
      what: `was handed ${many(held.length, 'connection')} to ${endpoint} by another process, with send(message, socket)`,
      todo: 'open it in the worker that uses it, as a guardedClient() or by protect(): then it is drained and closed in a restart',
      count: held.length,
    }
  })
}
