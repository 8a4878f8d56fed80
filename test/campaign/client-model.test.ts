// A few rounds of the campaign client-model, as `npm run campaign` plays them. Twenty thousand schedules are played by
// test/client/simulation.

import t from 'tap'
import { newState } from './campaign-state.js'
import { clientModel } from './client-model.js'
import { playRound, runCampaign } from './run-campaign.js'

t.test('200 rounds break no promise, and one is told in full when it is asked for', async (t) => {
  const said: string[] = []
  await runCampaign({
    campaign: clientModel,
    state: newState('client-model', 5, 200),
    jobs: 1,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(said, ['client-model: 200 rounds, 0 violations, seed 5'])
  t.same((await playRound(clientModel, 5, 3)).story, [])
  t.match((await playRound(clientModel, 5, 3, true)).story.at(-1), /close\(\): settled/)
})
