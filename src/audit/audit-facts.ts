// What is known when an audit is judged: a look at the kernel's tables, who the processes are, what they say of
// themselves, what was seen before. Plain data: the primary's desk collects it (src/primary/audit-desk.ts), and
// `supervisor audit --pid` does for a tree without a supervisor; findings.ts concludes from it.

import type { Finding } from '../shared/finding.js'
import type { SocketOrigins } from '../shared/socket-origins.js'
import type { Snapshot } from './socket-table.js'
import type { Trend } from './trend.js'

/** `process`: of a tree that no supervisor of ours began. */
export type Role = 'primary' | 'worker' | 'descendant' | 'orphan' | 'process'

export interface Member {
  pid: number
  role: Role
  slot: number | null
  generation: number | null
  /** What it says of the sockets that it opened; null: nothing, because it has no runtime of ours or did not answer. */
  origins: SocketOrigins | null
}

/** A record of a lease or a run whose owner is gone and has not released it. */
export interface StaleRecord {
  kind: 'lease' | 'run'
  /** Of the supervisor, or what is exclusive. */
  name: string
  pid: number
  file: string
  /** Somebody of this tree waits for what it stands for. */
  isWaitedFor: boolean
}

/** What the guard of requests has seen: a client that was opened while a request was answered. */
export interface RequestConnect {
  pid: number
  /** null: not known. */
  at: string | null
  url: string
  request: string
  count: number
}

export interface AuditFacts {
  look: Snapshot
  members: ReadonlyMap<number, Member>
  /** Ports on which somebody of the tree listens, or has listened. */
  listenedPorts: ReadonlySet<number>
  /** `93.184.216.34:443` -> `api.example.com:443`, for what was looked up. */
  names: ReadonlyMap<string, string>
  /** Most connections of the whole tree, by `host:port`. */
  budgets: Readonly<Record<string, number>>
  trends: ReadonlyMap<string, Trend>
  records: readonly StaleRecord[]
  connects: readonly RequestConnect[]
  /** Guarded clients and protected resources that are open in the primary, by name. */
  resources: readonly string[]
  /** What was seen right after forks. */
  forkFindings: readonly Finding[]
}

/** Facts of one look and nothing else; the rest is laid over it. */
export const factsOf = (
  look: Snapshot,
  members: AuditFacts['members'],
  more: Partial<AuditFacts> = {},
): AuditFacts => ({
  look,
  members,
  listenedPorts: new Set(),
  names: new Map(),
  budgets: {},
  trends: new Map(),
  records: [],
  connects: [],
  resources: [],
  forkFindings: [],
  ...more,
})
