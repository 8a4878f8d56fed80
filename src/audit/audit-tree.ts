// The audit of a tree of processes that no supervisor speaks for: what the kernel shows, and nothing else. Which sockets a
// guarded client owns is not known here.

import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from './audit-facts.js'
import { lookAndJudge } from './audit-looks.js'
import { type AuditReport, makeReport } from './audit-report.js'
import { countPort } from './count-port.js'
import { processTree } from './process-tree.js'
import { Slices } from './slices.js'
import type { Snapshot } from './socket-table.js'
import { inSlices } from './steps.js'
import { takeSnapshot } from './take-snapshot.js'

export const auditTree = async (root: number): Promise<AuditReport> => {
  const slices = new Slices()
  const audited = await lookAndJudge(
    {
      look: () => lookAt(root),
      ask: async ({ processes }) => new Map(processes.map(({ pid }) => [pid, memberOf(pid)])),
      more: async () => ({}),
      pause: (ms) => delay(ms),
    },
    slices,
  )
  return inSlices(makeReport(null, audited), slices)
}

export const countPortOfTree = async (root: number, port: number): Promise<number> =>
  countPort(await lookAt(root), port)

/** Without this process: it may be below the one that is looked at, and is there for the look alone. */
const lookAt = async (root: number): Promise<Snapshot> =>
  takeSnapshot((await processTree(root)).filter((pid) => pid !== process.pid || pid === root))

const memberOf = (pid: number): Member => ({
  pid,
  role: 'process',
  slot: null,
  generation: null,
  origins: null,
})
