// The stop ladder: drain order, then SIGTERM, then SIGKILL, all within one budget.

export interface StopLadder {
  /** ms that the drain order leaves the worker; it ends by force what is left about a second before. */
  drain: number
  /** ms after the order at which SIGTERM is sent: to a worker past its deadline it means "leave now". */
  terminateAt: number
  /** ms after the order at which SIGKILL is sent; it cannot be refused, not even by a stopped process. */
  killAt: number
}

/** SIGTERM's share at the end of the budget. */
const LAST_WORDS = 500

export const stopLadder = (budget: number): StopLadder => {
  const lastWords = Math.min(LAST_WORDS, budget * 0.2)
  return { drain: budget, terminateAt: budget - lastWords, killAt: budget }
}

/** After a second stop signal: Close frames are tried for 250 ms, then nothing is waited for. */
export const LEAVE_LADDER = { killAt: 1_000 }
