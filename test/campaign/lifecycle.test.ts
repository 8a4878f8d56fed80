// A few rounds of the lifecycle campaign, always the same ones: real processes, as `npm run campaign` has them.
// Hundreds of rounds are for a machine with time; CONTRIBUTING.md says how.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
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
