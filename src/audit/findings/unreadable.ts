// Processes of the tree that could not be looked into: what they hold is not known, so nothing of them was judged.

import type { Finding } from '../../shared/finding.js'
import type { AuditedTree } from '../audited-tree.js'
import { isGone } from '../process-problem.js'

export const unreadable = ({ facts, who }: AuditedTree): Finding[] =>
  facts.look.processes
    // It ended between the listing and the look.
    .filter((process) => process.problem !== null && !isGone(process) && facts.members.has(process.pid))
    .map(({ pid, problem }) => ({
      kind: 'unreadable',
      severity: 'note',
      who: who(pid),
      pid,
      endpoint: null,
      what: `could not be looked into: ${problem}`,
      todo: 'run the audit as the user who owns that process',
      count: 1,
    }))
