// A few rounds of the lifecycle campaign, always the same ones: real processes, as `npm run campaign` has them.
// Hundreds of rounds are for a machine with time; CONTRIBUTING.md says how.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { expectNothingLeftWhenEnded, expectNoViolation } from './campaign-in-a-test.js'
import { lifecycle } from './lifecycle/round.js'

uninstrumentChildren()

const SEED = 20
const ROUNDS = 6

t.test(`${ROUNDS} rounds of the lifecycle campaign break no promise`, (t) =>
  expectNoViolation(t, lifecycle, { seed: SEED, rounds: ROUNDS, jobs: 2 }),
)

t.test('a campaign that is ended in the middle of a round leaves no process of it', (t) =>
  expectNothingLeftWhenEnded(t, 'lifecycle', ['preload']),
)
