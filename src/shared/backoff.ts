// How long to wait before the next attempt: exponential with full jitter and a floor.
// Used by clients (reconnect) and by the primary (replacement of crashed workers).

import type { Random } from './clock.js'

export interface BackoffRange {
  /** Shortest wait in ms, > 0: no zero-delay loop is possible. */
  min: number
  /** Longest wait in ms. */
  max: number
}

/**
 * `min(max, min + U(0, min * 2^attempt))` in whole ms, for attempt 0, 1, 2, ...
 *
 * The jitter spans the whole interval, so that many processes that failed together do not return together.
 */
export const backoffDelay = (attempt: number, { min, max }: BackoffRange, random: Random): number =>
  Math.round(Math.min(max, min + random() * Math.min(max, min * 2 ** attempt)))
