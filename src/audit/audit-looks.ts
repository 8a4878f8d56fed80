// How an audit looks: once, and a second time a moment later where the first look shows anything that belongs nowhere. A
// socket that is being handed over, or closed, is in two processes, or half closed, for a moment; a leak stays.

import type { Finding } from '../shared/finding.js'
import { type AuditFacts, factsOf, type Member } from './audit-facts.js'
import { findingsOf } from './findings.js'
import type { Snapshot } from './socket-table.js'

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

export const gatherFacts = async ({ look, ask, more, pause }: LookSteps): Promise<AuditFacts> => {
  const first = await look()
  const lookedAt = performance.now()
  const [members, rest] = await Promise.all([ask(first), more(first)])
  const facts = factsOf(first, members, rest)
  if (!findingsOf(facts).some(isOfSockets)) return facts
  await pause(Math.max(0, lookedAt + BETWEEN_LOOKS - performance.now()))
  return { ...facts, later: await look() }
}

const isOfSockets = ({ kind }: Finding): boolean => SOCKET_KINDS.has(kind)

const SOCKET_KINDS: ReadonlySet<Finding['kind']> = new Set([
  'sharedSocket',
  'connectionInPrimary',
  'orphan',
  'closeWait',
  'overBudget',
  'unguardedPile',
])
