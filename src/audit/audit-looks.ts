// How an audit looks: once, and a second time a moment later where the first look shows anything that belongs nowhere. A
// socket that is being handed over, or closed, is in two processes, or half closed, for a moment; a leak stays.

import type { Finding } from '../shared/finding.js'
import { type AuditFacts, factsOf, type Member } from './audit-facts.js'
import { type AuditedTree, auditedTree, seenAgain } from './audited-tree.js'
import { findingsIn } from './findings.js'
import type { Slices } from './slices.js'
import type { Snapshot } from './socket-table.js'
import { inSlices } from './steps.js'

/** ms between the looks: much longer than a handover between two processes, or an end that has to be read, takes. */
export const BETWEEN_LOOKS = 250

export interface LookSteps {
  look(): Promise<Snapshot>
  /** Who the processes are and what they say of themselves; asked after the first look. */
  ask(look: Snapshot): Promise<ReadonlyMap<number, Member>>
  /** Everything else. */
  more(look: Snapshot): Promise<Partial<AuditFacts>>
  pause(ms: number): Promise<void>
}

/** A tree as it was judged. */
export interface Audited {
  tree: AuditedTree
  findings: Finding[]
}

export const lookAndJudge = async (
  { look, ask, more, pause }: LookSteps,
  slices: Slices,
): Promise<Audited> => {
  const first = await look()
  const lookedAt = performance.now()
  const [members, rest] = await Promise.all([ask(first), more(first)])
  const tree = await inSlices(auditedTree(factsOf(first, members, rest)), slices)
  const findings = await inSlices(findingsIn(tree), slices)
  if (!findings.some(isOfSockets)) return { tree, findings }
  await pause(Math.max(0, lookedAt + BETWEEN_LOOKS - performance.now()))
  const again = await inSlices(seenAgain(tree, await look()), slices)
  return { tree: again, findings: await inSlices(findingsIn(again), slices) }
}

const isOfSockets = ({ kind }: Finding): boolean => SOCKET_KINDS.has(kind)

const SOCKET_KINDS: ReadonlySet<Finding['kind']> = new Set([
  'sharedSocket',
  'passedConnection',
  'connectionInPrimary',
  'orphan',
  'closeWait',
  'overBudget',
  'unguardedPile',
])
