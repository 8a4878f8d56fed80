// What the arbiter knows, as plain data that can be copied and compared: who stands in line for what, who holds it, and
// which move is under way. What happens to it is arbiter.ts.

/** Somebody who may hold leases: a worker process, by the number that its primary gave it. */
export interface Claimant {
  generation: number
  /** It has lived long enough to be trusted: others are granted only where nobody is. */
  isProved: boolean
  /** It drains: it is granted nothing more, unless it still has something to deliver and nobody else is there. */
  isLeaving: boolean
  /** A release that was tried and has failed: it is granted nothing more. */
  hasFailed: boolean
  /** What it claims is handed to it, to see whether it can hold it. */
  isOnTrial: boolean
  /** When it was last heard of. */
  heardAt: number
  /** SIGKILL was sent; its exit is awaited. */
  isCondemned: boolean
}

/** A place in the line for one lease. */
export interface Claim {
  claimant: number
  /** The claimant's own number for it. */
  claim: number
  /** It has messages that wait for a connection, and its process is about to leave. */
  isNeedy: boolean
}

export interface Holder {
  claimant: number
  claim: number
  /** Number of the grant: each is larger than all before. */
  grant: number
  /** `granted`: on its way to be used. `open`: in use. `revoking`: told to let go. */
  phase: 'granted' | 'open' | 'revoking'
  grantedAt: number
  /** While it is told to let go: when it is killed. */
  goneBy: number | null
}

/**
 * A lease on its way from one holder to another, and back if the other cannot hold it.
 * `closing`: the old holder lets go. `opening`: the new one has been granted. `watched`: it is open, and on trial.
 * `returning`: it lets go again.
 */
export interface Move {
  kind: 'trial' | 'request'
  /** What moves. */
  lease: string
  phase: 'closing' | 'opening' | 'watched' | 'returning'
  from: number
  to: number
  /** Who asked for it, if anybody waits for the answer. */
  request: number | null
  /** When the new holder must be open. */
  openBy: number | null
  /** Why it goes back. */
  failure: string | null
}

export interface Lease {
  /** In the order in which they came. */
  claims: Claim[]
  holder: Holder | null
  move: Move | null
  /** Another session took our place at the upstream: nobody is granted until somebody insists. */
  isBarred: boolean
  /** Since when nobody has it open, for the gap: who was granted it and never opened it changes nothing. Null: not so. */
  freeSince: number | null
  /** Who had it open last, or has it. */
  lastHolder: number | null
}

export interface ArbiterState {
  lastGrant: number
  claimants: Record<number, Claimant>
  /** By what is held, such as `client feed`. */
  leases: Record<string, Lease>
  /** When the next look at the time was due, as it was told last: what comes much later shows that this process slept. */
  dueAt: number | null
}

export const emptyArbiter = (): ArbiterState => ({ lastGrant: 0, claimants: {}, leases: {}, dueAt: null })
