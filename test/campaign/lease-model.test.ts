// A few rounds of the campaign lease-model, as `npm run campaign` plays them. Thirty thousand schedules are played by
// test/lease/simulation.

import t from 'tap'
import { newState } from './campaign-state.js'
import { leaseModel } from './lease-model.js'
import { playRound, runCampaign } from './run-campaign.js'

t.test('2,000 rounds break no promise, and one is told in full when it is asked for', async (t) => {
  const said: string[] = []
  await runCampaign({
    campaign: leaseModel,
    state: newState('lease-model', 5, 2_000),
    jobs: 1,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(said, ['lease-model: 2000 rounds, 0 violations, seed 5'])
  t.same((await playRound(leaseModel, 5, 3)).story, [])
  t.match((await playRound(leaseModel, 5, 3, true)).story.at(-1), /arbiter|upstream|may use|--/)
})
