// What a campaign remembers between runs: which rounds of which seed are done and what they found. A file, written whole
// and renamed, so that a campaign that was interrupted at any moment goes on with --resume.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'

export interface Finding {
  round: number
  violations: string[]
  folder: string | null
}

export interface CampaignState {
  campaign: string
  seed: number
  rounds: number
  /** All rounds below are done … */
  doneBelow: number
  /** … and these beyond: rounds run side by side. */
  doneBeyond: number[]
  findings: Finding[]
}

export const newState = (campaign: string, seed: number, rounds: number): CampaignState => ({
  campaign,
  seed,
  rounds,
  doneBelow: 0,
  doneBeyond: [],
  findings: [],
})

export const isDone = ({ doneBelow, doneBeyond }: CampaignState, round: number): boolean =>
  round < doneBelow || doneBeyond.includes(round)

export const doneCount = ({ doneBelow, doneBeyond }: CampaignState): number => doneBelow + doneBeyond.length

/** Takes down a round that is over. */
export const markDone = (state: CampaignState, round: number, finding: Finding | null): void => {
  if (finding !== null) state.findings.push(finding)
  state.doneBeyond.push(round)
  while (state.doneBeyond.includes(state.doneBelow)) {
    state.doneBeyond.splice(state.doneBeyond.indexOf(state.doneBelow), 1)
    state.doneBelow++
  }
}

export const writeState = (file: string, state: CampaignState): void => {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(state)}\n`, { mode: 0o600 })
  renameSync(draft, file)
}

/** @throws Error with one line when there is none, or it is not one of this campaign. */
export const readState = (file: string, campaign: string): CampaignState => {
  let state: unknown
  try {
    state = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`--state ${file}: cannot be read (${(error as Error).message}); start without --resume`)
  }
  if (!isState(state)) throw new Error(`--state ${file}: is not the state of a campaign; name another file`)
  if (state.campaign !== campaign)
    throw new Error(
      `--state ${file}: belongs to campaign ${state.campaign} and not ${campaign}; name another file`,
    )
  return state
}

const isState = (value: unknown): value is CampaignState => {
  if (typeof value !== 'object' || value === null) return false
  const { campaign, seed, rounds, doneBelow, doneBeyond, findings } = value as Record<string, unknown>
  return (
    typeof campaign === 'string' &&
    [seed, rounds, doneBelow].every(Number.isSafeInteger) &&
    Array.isArray(doneBeyond) &&
    doneBeyond.every(Number.isSafeInteger) &&
    Array.isArray(findings)
  )
}
