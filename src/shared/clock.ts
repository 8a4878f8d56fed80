// Time and chance as things that can be injected: pure cores are tested with a fake clock and a seeded source.

/** Milliseconds from an arbitrary origin that never go back. */
export type MonotonicNow = () => number

/** A number in [0, 1), as `Math.random`. */
export type Random = () => number

/** CLOCK_MONOTONIC in ms. Not the time of day: use `Date.now()` for what people read. */
export const monotonicNow: MonotonicNow = () => performance.now()
