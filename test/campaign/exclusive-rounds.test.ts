// A round or two of each exclusive campaign, always the same ones: whatever befalls the holder, there are never two
// connections, and what senders were told is true. Hundreds of rounds are for a machine with time; CONTRIBUTING.md says how.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { needsPackage } from '../support/tools.js'
import { newState } from './campaign-state.js'
import { FAKETIME } from './exclusive/participant.js'
import { exclusiveCampaigns } from './exclusive/round.js'
import { runCampaign } from './run-campaign.js'

uninstrumentChildren()

/** Two rounds that fall asleep run side by side. */
const ROUNDS: Record<string, { seed: number; rounds: number }> = {
  'exclusive-rolling': { seed: 1, rounds: 1 },
  'exclusive-kill': { seed: 1, rounds: 2 },
  // For ever, and until 5.002 s.
  'exclusive-stop': { seed: 7, rounds: 2 },
  // For 4.8 s, and 6.4 s.
  'exclusive-block': { seed: 2, rounds: 2 },
  'exclusive-primary-kill': { seed: 1, rounds: 2 },
  // For 6.9 s with a script waiting, then killed; for 4.1 s with a supervisor waiting.
  'exclusive-tree-stop': { seed: 4, rounds: 2 },
  // Both kinds of endings, some without a lock of the kernel.
  'exclusive-stale': { seed: 2, rounds: 2 },
  // The holder, and who waits.
  'exclusive-clock': { seed: 14, rounds: 2 },
}

for (const campaign of exclusiveCampaigns) {
  const { name, summary } = campaign
  const needs = name === 'exclusive-clock' ? needsPackage('libfaketime', FAKETIME) : {}
  t.test(`${name}: ${summary}`, needs, async (t) => {
    const { seed, rounds } = ROUNDS[name] ?? { seed: 0, rounds: 1 }
    const said: string[] = []
    const { findings } = await runCampaign({
      campaign,
      state: newState(name, seed, rounds),
      jobs: 2,
      say: (line) => said.push(line),
      onRoundDone: () => {},
    })
    t.same(findings, [], said.join('\n'))
    t.equal(said.at(-1), `${name}: ${rounds} rounds, 0 violations, seed ${seed}`)
  })
}
