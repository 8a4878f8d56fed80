// From facts to findings: what does not belong, who has it, and what to do. Pure; one kind of finding a file in findings/.
// docs/audit.md lists the kinds with their thresholds.

import type { Finding } from '../shared/finding.js'
import type { AuditedTree } from './audited-tree.js'
import { closeWaits } from './findings/close-wait.js'
import { connectsInRequests } from './findings/connect-in-request.js'
import { connectionsInPrimary } from './findings/connection-in-primary.js'
import { growing } from './findings/growing.js'
import { orphans } from './findings/orphan.js'
import { overBudget } from './findings/over-budget.js'
import { passedConnections } from './findings/passed-connection.js'
import { sharedSockets } from './findings/shared-socket.js'
import { staleRecords } from './findings/stale-record.js'
import { timeWaits } from './findings/time-wait.js'
import { unguardedPiles } from './findings/unguarded-pile.js'
import { unreadable } from './findings/unreadable.js'
import type { Steps } from './steps.js'

/** The more telling one first. */
const KINDS: readonly ((tree: AuditedTree) => Finding[])[] = [
  sharedSockets,
  passedConnections,
  connectionsInPrimary,
  orphans,
  closeWaits,
  connectsInRequests,
  unguardedPiles,
  overBudget,
  growing,
  timeWaits,
  staleRecords,
  unreadable,
]

/** Problems first, then in the order of how telling a kind is. */
export function* findingsIn(tree: AuditedTree): Steps<Finding[]> {
  const each: Finding[][] = []
  for (const find of KINDS) {
    each.push(find(tree))
    yield
  }
  const all = withoutEchoes(each.flat())
  const past = pastForks(tree, all)
  const found = [...all, ...past]
  return [
    ...found.filter(({ severity }) => severity === 'problem'),
    ...found.filter(({ severity }) => severity !== 'problem'),
  ]
}

/** The same cause makes several findings: the more telling one is kept. */
const ECHOES: Partial<Record<Finding['kind'], readonly Finding['kind'][]>> = {
  passedConnection: ['sharedSocket'],
  connectionInPrimary: ['sharedSocket'],
  unguardedPile: ['connectInRequest'],
  growing: ['sharedSocket', 'connectionInPrimary', 'closeWait', 'connectInRequest', 'unguardedPile'],
  timeWait: ['connectInRequest'],
}

const withoutEchoes = (found: readonly Finding[]): Finding[] => {
  const told = new Set(
    found.flatMap(({ kind, severity, endpoint }) =>
      severity === 'problem' && endpoint !== null ? [`${kind} ${endpoint}`] : [],
    ),
  )
  return found.filter(
    ({ kind, endpoint }) => !ECHOES[kind]?.some((other) => told.has(`${other} ${endpoint}`)),
  )
}

/** What a fork showed and the looks do not show any more is told while its process lives, and is no problem of now. */
const pastForks = ({ facts, names }: AuditedTree, now: readonly Finding[]): Finding[] =>
  facts.forkFindings
    .map((past) => ({ ...past, endpoint: names.get(past.endpoint ?? '') ?? past.endpoint }))
    .filter(({ pid }) => pid === null || facts.members.has(pid))
    .filter(({ kind, endpoint }) => !now.some((seen) => isSame(seen, kind) && seen.endpoint === endpoint))
    .map((past) => ({ ...past, severity: 'note', what: `${past.what} (seen after a fork, not any more)` }))

const isSame = (seen: Finding, kind: Finding['kind']): boolean =>
  seen.kind === kind || seen.kind === 'sharedSocket' || seen.kind === 'connectionInPrimary'
