// A few rounds of the lifecycle campaign, always the same ones: real processes, as `npm run campaign` has them.
// Hundreds of rounds are for a machine with time; CONTRIBUTING.md says how.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { descendantsOf, stillAlive } from '../support/process-tree.js'
import { newState } from './campaign-state.js'
import { lifecycle } from './lifecycle/round.js'
import { runCampaign } from './run-campaign.js'

uninstrumentChildren()

const SEED = 20
const ROUNDS = 6

t.test(`${ROUNDS} rounds of the lifecycle campaign break no promise`, async (t) => {
  const said: string[] = []
  const { findings } = await runCampaign({
    campaign: lifecycle,
    state: newState('lifecycle', SEED, ROUNDS),
    jobs: 2,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(findings, [], said.join('\n'))
  t.equal(said.at(-1), `lifecycle: ${ROUNDS} rounds, 0 violations, seed ${SEED}`)
})

t.test('a campaign that is ended in the middle of a round leaves no process of it', async (t) => {
  const folder = t.testdir({})
  const args = [
    'scripts/campaign.mjs',
    'lifecycle',
    '--rounds',
    '100',
    '--seed',
    '1',
    '--state',
    `${folder}/s.json`,
  ]
  const campaign = spawn(process.execPath, args, { env: cleanEnv(), stdio: 'ignore' })
  t.teardown(() => campaign.kill('SIGKILL'))
  const exited = once(campaign, 'exit')
  const rows = await eventually(
    () => descendantsOf(campaign.pid ?? 0),
    (found) => found.some(({ command }) => /preload\.c?js/.test(command)),
    { what: 'a worker of a round', timeout: 30_000 },
  )
  campaign.kill('SIGTERM')
  t.same(await exited, [143, null])
  await eventually(
    () => stillAlive(rows),
    (alive) => alive.length === 0,
    { what: 'all processes of the round to be gone' },
  )
})
