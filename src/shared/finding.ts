// What an audit found, in words: who, what, and the next step. Part of the stable contract of `supervisor audit --json`.
// How it is found: src/audit/findings.ts and, right after a fork, src/fork/fork-audit.ts.

export interface Finding {
  kind:
    | 'sharedSocket'
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
  /** A problem makes `supervisor audit` exit with 6. */
  severity: 'problem' | 'note'
  /** `worker 1 (pid 123, generation 2)`, `primary (pid 9)`, `process 77 (node job.js)` */
  who: string
  pid: number | null
  /** `api.example.com:443` */
  endpoint: string | null
  /** `holds 12 connections to api.example.com:443 that no guarded client owns, opened at app.js:12` */
  what: string
  /** One next step. */
  todo: string
  count: number
}
