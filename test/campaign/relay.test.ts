// Two rounds of the campaign relay, always the same ones, and that a campaign which is ended leaves no process.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { expectNothingLeftWhenEnded, expectNoViolation } from './campaign-in-a-test.js'
import { Random } from './random.js'
import { makePlan } from './relay/plan.js'
import { playPlan, relay } from './relay/round.js'

uninstrumentChildren()

const SEED = 5
const ROUNDS = 2

t.test(`${ROUNDS} rounds of relay: what was accepted arrives, in order, over one connection`, (t) =>
  expectNoViolation(t, relay, { seed: SEED, rounds: ROUNDS, jobs: 1 }),
)

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

t.test('a campaign that is ended in the middle of a round leaves no process of it', (t) =>
  expectNothingLeftWhenEnded(t, 'relay', ['exclusive-server.js', 'relay-worker']),
)
