// What a campaign is: seeded rounds, each of which plays something random and judges it, on real processes as a rule.
// Which campaigns there are is registry.ts; how rounds are run, counted and resumed is run-campaign.ts.

import type { Random } from './random.js'

export interface Campaign {
  name: string
  /** Completes "campaign NAME: …". */
  summary: string
  /**
   * Plays one round and judges it. What it finds wrong is in the report; it throws only when the round could not be
   * played at all. Whatever the outcome, no process of it is left.
   *
   * @param isTold whether the story is wanted of a good round as well.
   * @param round its number, for a campaign whose rounds are a list and no play of chance.
   */
  playRound(random: Random, isTold?: boolean, round?: number): Promise<RoundReport>
  /** How many rounds are all of them, where they are a list. Default 100. */
  rounds?: number
  /**
   * After how many rounds the state is kept and progress told, where a round takes no time. What was played since is
   * played again after a crash. Default: the state after each.
   */
  batch?: number
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
  /** What was measured, by name (ms): the figures of all rounds are told together at the end. */
  figures?: Readonly<Record<string, readonly number[]>>
}
