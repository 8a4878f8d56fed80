// What an audit found: who, what, and what to do. Part of the stable contract of `supervisor audit --json`. How it is found:
// src/audit/findings.ts and, right after a fork, src/fork/fork-audit.ts, which makes two of the kinds.

export type FindingKind =
  | 'sharedSocket'
  | 'passedConnection'
  | 'connectionInPrimary'
  | 'orphan'
  | 'closeWait'
  | 'timeWait'
  | 'overBudget'
  | 'growing'
  | 'unguardedPile'
  | 'connectInRequest'
  | 'staleRecord'
  | 'unreadable'

export interface Finding {
  kind: FindingKind
  /** A note breaks nothing today; a problem makes `supervisor audit` exit with 6. */
  severity: 'problem' | 'note'
  /** Such as `worker 1 (pid 123, generation 2)`, `primary (pid 9)`, `process 77 (node job.js)`. */
  who: string
  pid: number | null
  /** Such as `api.example.com:443`; null: none, or unknown. */
  endpoint: string | null
  /** Continues `who`: `holds 12 connections to api.example.com:443 that no guarded client owns`. */
  what: string
  /** One next step. */
  todo: string
  /** How many of them. */
  count: number
}
