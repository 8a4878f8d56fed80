// Two rounds of the campaign relay, always the same ones, and that a campaign which is ended leaves no process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { descendantsOf, stillAlive } from '../support/process-tree.js'
import { newState } from './campaign-state.js'
import { Random } from './random.js'
import { makePlan } from './relay/plan.js'
import { playPlan, relay } from './relay/round.js'
import { runCampaign } from './run-campaign.js'

uninstrumentChildren()

const SEED = 5
const ROUNDS = 2

t.test(`${ROUNDS} rounds of relay: what was accepted arrives, in order, over one connection`, async (t) => {
  const said: string[] = []
  const { findings } = await runCampaign({
    campaign: relay,
    state: newState('relay', SEED, ROUNDS),
    jobs: 1,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(findings, [], said.join('\n'))
  t.equal(said.at(-1), `relay: ${ROUNDS} rounds, 0 violations, seed ${SEED}`)
})

t.test('without a fault each message arrives once', async (t) => {
  const plan = { ...makePlan(new Random(1)), callers: 10, workers: 2, steps: [] }
  const { violations, story } = await playPlan({ ...plan, steps: [{ at: 500, fault: { type: 'reload' } }] })
  t.same(violations, [], story.join('\n'))
  t.match(
    story.at(-1),
    /^ *\d+ ms {2}(\d+) published, \1 arrived; accepted \d+$/,
    'and none is refused in a rolling restart',
  )
})

t.test('a campaign that is ended in the middle of a round leaves no process of it', async (t) => {
  const args = ['scripts/campaign.mjs', 'relay', '--rounds', '10', '--seed', '1']
  const state = `${t.testdir({})}/state.json`
  const campaign = spawn(process.execPath, [...args, '--state', state], { env: cleanEnv(), stdio: 'ignore' })
  t.teardown(() => campaign.kill('SIGKILL'))
  const exited = once(campaign, 'exit')
  const rows = await eventually(
    () => descendantsOf(campaign.pid ?? 0),
    (found) =>
      ['exclusive-server.js', 'relay-worker'].every((of) =>
        found.some(({ command }) => command.includes(of)),
      ),
    { what: 'upstream and relay workers of a round', timeout: 30_000 },
  )
  campaign.kill('SIGTERM')
  t.same(await exited, [143, null])
  await eventually(
    () => stillAlive(rows),
    (alive) => alive.length === 0,
    { what: 'all processes of the round to be gone' },
  )
})
