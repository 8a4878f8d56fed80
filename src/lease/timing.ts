// The times of a lease between a worker and its primary, and how they fit together. All in ms, all on clocks that never
// go back.

/** A worker that holds something says so this often. */
export const HEARTBEAT = 1_000

/** Not heard of for this long, a holder is killed: a stopped or blocked process cannot let go by itself. */
export const OVERDUE = 5_000

/**
 * A holder whose heartbeats are not answered stops using what it holds this long after it sent the last one that was:
 * counted from before it was sent, so that the primary, which counts from when it came in, always counts longer.
 */
export const FENCE = 4_000

/** What is left between the fence and the kill: for a Close frame, where the holder itself is well. */
export const FENCE_CLOSE = 500

/** A timer that rings this much too late shows that this process slept: others could not be heard meanwhile. */
export const SLEPT = 1_000

/** For a holder that is told to let go: to have what it wrote proved, and to close. Then its connection is destroyed. */
export const REVOKE_BUDGET = 5_000

/** A holder that has not let go this long after its budget is killed. */
export const REVOKE_GRACE = 2_000
