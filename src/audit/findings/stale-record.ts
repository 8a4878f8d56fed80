// Records of leases and of supervisors whose owner is gone without having released them: killed with -9, or a machine
// that lost its power. Whoever comes next takes them over, so most are no problem.

import type { Finding } from '../../shared/finding.js'
import type { AuditedTree } from '../audited-tree.js'

export const staleRecords = ({ facts }: AuditedTree): Finding[] =>
  facts.records.map(({ kind, name, pid, file, isWaitedFor }) => ({
    kind: 'staleRecord',
    severity: isWaitedFor ? 'problem' : 'note',
    who: `process ${pid} (gone)`,
    pid,
    endpoint: null,
    what:
      kind === 'lease'
        ? `held what is exclusive as ${name} and ended without giving it back (${file})${isWaitedFor ? '; a client waits for it' : ''}`
        : `was supervisor ${name} and ended without clearing up (${file})`,
    todo:
      kind === 'lease'
        ? 'nothing: the next client of that identity takes it over; remove the file if there will be none'
        : `nothing, if it is started again: that clears up; remove the file if there is no ${name} any more`,
    count: 1,
  }))
