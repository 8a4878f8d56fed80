// A number of connections that only ever grows: a leak too slow for one look.

import type { Finding } from '../../shared/finding.js'
import type { AuditedTree } from '../audited-tree.js'
import { formatSlope, growthOf } from '../trend.js'

/** A pool that fills takes fewer steps, or comes to rest; a leak goes on. */
const MIN_STEPS = 5

export const growing = ({ trends, sockets, who }: AuditedTree): Finding[] =>
  [...trends].flatMap(([endpoint, trend]): Finding[] => {
    const growth = growthOf(trend)
    if (growth === null || growth.steps < MIN_STEPS || !growth.isGoingOn) return []
    const { from, to, perHour } = growth
    const held = sockets.filter((each) => each.endpoint === endpoint)
    // Guarded clients come with workers, one by one in a scale-up, and are counted by connectionBudget.
    if (held.length > 0 && held.every(({ origin }) => origin?.client != null)) return []
    const pids = new Set(held.map(({ pid }) => pid))
    const [only] = pids
    const sites = [...new Set(held.flatMap(({ origin }) => (origin?.client === null && origin.at) || []))]
    return [
      {
        kind: 'growing',
        severity: 'problem',
        who: pids.size === 1 && only !== undefined ? who(only) : 'this supervisor',
        pid: pids.size === 1 && only !== undefined ? only : null,
        endpoint,
        what: `has more and more connections to ${endpoint}: ${from.count} then, ${to.count} now, ${formatSlope(perHour)}${sites.length === 0 ? '' : `, opened at ${sites.slice(0, 3).join(', ')}`}`,
        todo: 'close each connection when it is done with, or keep one: look at what supervisor audit --verbose lists of this endpoint',
        count: to.count,
      },
    ]
  })
