// What the test of each campaign asks: that rounds of a fixed seed break no promise, and that a campaign which is ended in
// the middle of a round leaves no process of it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import { cleanEnv } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { descendantsOf, stillAlive } from '../support/process-tree.js'
import type { Campaign } from './campaign.js'
import { newState } from './campaign-state.js'
import { runCampaign } from './run-campaign.js'

export const expectNoViolation = async (
  t: Test,
  campaign: Campaign,
  { seed, rounds, jobs }: { seed: number; rounds: number; jobs: number },
): Promise<void> => {
  const { name } = campaign
  const said: string[] = []
  const { findings } = await runCampaign({
    campaign,
    state: newState(name, seed, rounds),
    jobs,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(findings, [], said.join('\n'))
  t.equal(said.at(-1), `${name}: ${rounds} rounds, 0 violations, seed ${seed}`)
}

/** @param programs a round is under way when a process of each is there: a part of its command line. */
export const expectNothingLeftWhenEnded = async (
  t: Test,
  name: string,
  programs: readonly string[],
): Promise<void> => {
  const args = ['scripts/campaign.mjs', name, '--rounds', '100', '--seed', '1']
  const state = `${t.testdir({})}/state.json`
  const campaign = spawn(process.execPath, [...args, '--state', state], { env: cleanEnv(), stdio: 'ignore' })
  t.teardown(() => campaign.kill('SIGKILL'))
  const exited = once(campaign, 'exit')
  const rows = await eventually(
    () => descendantsOf(campaign.pid ?? 0),
    (found) => programs.every((of) => found.some(({ command }) => command.includes(of))),
    { what: `${programs.join(' and ')} of a round`, timeout: 30_000 },
  )
  campaign.kill('SIGTERM')
  t.same(await exited, [143, null])
  await eventually(
    () => stillAlive(rows),
    (alive) => alive.length === 0,
    { what: 'all processes of the round to be gone' },
  )
}
