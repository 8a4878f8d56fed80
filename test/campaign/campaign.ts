// What a campaign is: seeded rounds, each of which plays something random on real processes and judges it.
// Which campaigns there are is registry.ts; how rounds are run, counted and resumed is run-campaign.ts.

import type { Random } from './random.js'

export interface Campaign {
  name: string
  /** Completes "campaign NAME: …". */
  summary: string
  /**
   * Plays one round and judges it. What it finds wrong is in the report; it throws only when the round could not be
   * played at all. Whatever the outcome, no process of it is left.
   */
  playRound(random: Random): Promise<RoundReport>
  /** Ends at once every process of the rounds under way, and removes what they had written: they count as not played. */
  abandon(): void
}

export interface RoundReport {
  /** One line each; none is a good round. */
  violations: string[]
  /** What was planned and what happened when, a line each. */
  story: string[]
  /** Where everything of a round with violations is kept; null after a good one. */
  folder: string | null
}
