// Makes up a round: pure, all from the seeded randomness.

import type { Random } from '../random.js'
import type { Fault, RoundPlan, SenderPlan, Whose } from './plan.js'

const SENDERS = 4
/** Faults begin within this time (ms). */
const SPAN = 1_800

export const makePlan = (random: Random): RoundPlan => ({
  senders: Array.from({ length: SENDERS }, (_, index) => makeSender(random, index)),
  steps: Array.from({ length: random.int(8, 12) }, () => ({
    at: random.int(0, SPAN),
    fault: makeFault(random),
  })).sort((one, other) => one.at - other.at),
  endsAt: random.chance(0.75) ? 'calm' : random.int(SPAN / 2, SPAN),
})

/** Both kinds in each round. */
const makeSender = (random: Random, index: number): SenderPlan => ({
  onUnconfirmed: index % 2 === 0 ? 'resend' : 'reject',
  isBounded: random.chance(0.3),
  whenFull: random.pick(['reject', 'wait'] as const),
  seed: random.int(0, 2 ** 31),
})

const makeFault = (random: Random): Fault => {
  const type = random.weighted<Fault['type']>([
    [8, 'kill'],
    [2, 'pause'],
    [2, 'reset'],
    [3, 'cut'],
    [5, 'stall'],
    [1, 'refuse'],
  ])
  switch (type) {
    case 'kill':
      return { type, downFor: random.chance(0.5) ? 0 : random.int(1, 200) }
    case 'pause':
      return { type, ms: random.int(20, 600) }
    case 'reset':
      return { type, whose: makeWhose(random) }
    case 'cut':
      return { type, whose: makeWhose(random), bytes: random.int(0, 5_000) }
    case 'stall':
      return {
        type,
        whose: makeWhose(random),
        ms: random.int(10, 700),
        ending: random.pick(['flow', 'reset', 'late'] as const),
      }
    case 'refuse':
      return { type, ms: random.int(10, 300) }
  }
}

const makeWhose = (random: Random): Whose => (random.chance(0.5) ? 'all' : random.int(0, SENDERS - 1))
