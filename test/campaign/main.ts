// `npm run campaign`: reads the command line, finds the campaign, keeps its state, and sets the exit code: 0 without
// violations, 1 with, 2 for a wrong command line.

import { randomInt } from 'node:crypto'
import { constants } from 'node:os'
import type { Campaign } from './campaign.js'
import { newState, readState, writeState } from './campaign-state.js'
import { type CampaignOptions, readCampaignOptions, USAGE } from './options.js'
import { CAMPAIGNS } from './registry.js'
import { playRound, runCampaign } from './run-campaign.js'

const SIGNAL_EXIT = 128
const DEFAULT_ROUNDS = 100

export const main = async (args: readonly string[]): Promise<number> => {
  if (args.includes('--help')) {
    console.log(`${USAGE}\n${CAMPAIGNS.map(({ name, summary }) => `  ${name}  ${summary}`).join('\n')}`)
    return 0
  }
  try {
    const options = readCampaignOptions(
      args,
      CAMPAIGNS.map(({ name }) => name),
    )
    for (const signal of ['SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => abandon(campaignOf(options.name), signal))
    return options.round === null ? await playAll(options) : await playOne(options, options.round)
  } catch (error) {
    console.error((error as Error).message)
    return 2
  }
}

const playAll = async ({
  name,
  rounds,
  seed,
  jobs,
  state: file,
  resume,
}: CampaignOptions): Promise<number> => {
  const campaign = campaignOf(name)
  const most = rounds ?? campaign.rounds ?? DEFAULT_ROUNDS
  const state = resume ? readState(file, name) : newState(name, seed ?? randomInt(2 ** 32), most)
  console.log(`${name}: ${state.rounds} rounds, seed ${state.seed}, state in ${file}`)
  writeState(file, state)
  const interrupted = new AbortController()
  process.on('SIGINT', () => {
    if (interrupted.signal.aborted) return abandon(campaign, 'SIGINT')
    console.log(`${name}: rounds under way are finished; go on later with --resume`)
    interrupted.abort()
  })
  await runCampaign({
    campaign,
    state,
    jobs,
    say: console.log,
    onRoundDone: (changed) => writeState(file, changed),
    signal: interrupted.signal,
  })
  return state.findings.length > 0 ? 1 : 0
}

/** Rounds under way have processes that would outlive this one. */
const abandon = (campaign: Campaign, signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void => {
  campaign.abandon()
  process.exit(SIGNAL_EXIT + constants.signals[signal])
}

/** One round again, told in full whatever comes of it. */
const playOne = async ({ name, seed }: CampaignOptions, round: number): Promise<number> => {
  const { story, violations, folder } = await playRound(campaignOf(name), seed ?? 0, round, true)
  for (const line of story) console.log(line)
  if (folder !== null) console.log(`kept: ${folder}`)
  console.log(`${name}: round ${round}, ${violations.length} violations, seed ${seed}`)
  return violations.length > 0 ? 1 : 0
}

const campaignOf = (name: string): Campaign => {
  const campaign = CAMPAIGNS.find((candidate) => candidate.name === name)
  if (campaign === undefined) throw new Error(`there is no campaign ${name}`)
  return campaign
}
