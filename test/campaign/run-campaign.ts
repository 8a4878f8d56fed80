// Runs the rounds of a campaign, some side by side, remembers which are done, and says what was found.
// What a round does is the campaign's own; the command line in front of it is main.ts.

import { percentile } from '../support/percentile.js'
import type { Campaign, RoundReport } from './campaign.js'
import { type CampaignState, doneCount, isDone, markDone } from './campaign-state.js'
import { Random, seedOfRound } from './random.js'

export interface RunOptions {
  campaign: Campaign
  state: CampaignState
  /** How many rounds run at once. */
  jobs: number
  say(line: string): void
  /** Told after each round, or batch of rounds, and after the last, so that the state can be kept. */
  onRoundDone(state: CampaignState): void
  /** No new round is begun once it is aborted. */
  signal?: AbortSignal
}

/** A line of progress each so many rounds. */
const PROGRESS_EVERY = 20

/** Plays all rounds of the state that are not done; settles when the last is over. The last line it says is the result. */
export const runCampaign = async (options: RunOptions): Promise<CampaignState> => {
  const { campaign, state, jobs, say, signal } = options
  const { batch = 1 } = campaign
  const begun = performance.now()
  let next = 0
  let played = 0
  const figures = new Map<string, number[]>()
  const work = async (): Promise<void> => {
    while (next < state.rounds && signal?.aborted !== true) {
      const round = next++
      if (isDone(state, round)) continue
      const report = await playRound(campaign, state.seed, round)
      if (report.violations.length > 0) sayFinding(say, state, round, report)
      for (const [name, values] of Object.entries(report.figures ?? {}))
        figures.set(name, [...(figures.get(name) ?? []), ...values])
      const { violations, folder } = report
      markDone(state, round, violations.length > 0 ? { round, violations, folder } : null)
      if (++played % batch === 0 || violations.length > 0) options.onRoundDone(state)
      if (played % Math.max(batch, PROGRESS_EVERY) === 0)
        say(`${campaign.name}: ${progress(state, played, begun)}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  if (played % batch !== 0) options.onRoundDone(state)
  for (const [name, values] of figures) say(`${campaign.name}: ${describeFigures(name, values)}`)
  say(summarize(state))
  return state
}

export const playRound = (
  campaign: Campaign,
  seed: number,
  round: number,
  isTold = false,
): Promise<RoundReport> => campaign.playRound(new Random(seedOfRound(seed, round)), isTold, round)

const violationCount = ({ findings }: CampaignState): number =>
  findings.reduce((sum, { violations }) => sum + violations.length, 0)

const summarize = (state: CampaignState): string =>
  `${state.campaign}: ${doneCount(state)} rounds, ${violationCount(state)} violations, seed ${state.seed}`

const progress = (state: CampaignState, played: number, begun: number): string => {
  const ms = (performance.now() - begun) / played
  const pace = ms < 100 ? `${ms.toFixed(2)} ms` : `${(ms / 1_000).toFixed(1)} s`
  return `${doneCount(state)} of ${state.rounds} rounds, ${violationCount(state)} violations, ${pace} a round`
}

/** Of the rounds that were played now: what was measured before a --resume is not kept. */
const describeFigures = (name: string, values: readonly number[]): string => {
  const [median, late, most] = [0.5, 0.95, 1].map((part) => percentile(values, part).toFixed(1))
  return `${name}: median ${median} ms, p95 ${late} ms, most ${most} ms, of ${values.length}`
}

const sayFinding = (
  say: (line: string) => void,
  state: CampaignState,
  round: number,
  report: RoundReport,
): void => {
  for (const violation of report.violations) say(`round ${round}: VIOLATION ${violation}`)
  for (const line of report.story) say(`  ${line}`)
  if (report.folder !== null) say(`  kept: ${report.folder}`)
  say(`  again: npm run campaign -- ${state.campaign} --seed ${state.seed} --round ${round}`)
}
