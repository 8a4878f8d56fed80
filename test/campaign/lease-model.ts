// The campaign `lease-model`: schedules of test/lease/simulation, as many as there is time for. A round is a schedule in
// virtual time, so that it takes a fraction of a millisecond, leaves nothing, and is the same each time it is played.

import { setImmediate as othersHaveRun } from 'node:timers/promises'
import { drawPlan } from '../lease/simulation/plan.js'
import { playSchedule } from '../lease/simulation/play-schedule.js'
import { storyOf } from '../lease/simulation/simulate.js'
import type { Campaign } from './campaign.js'

/** After so many schedules signals are looked at: virtual time lets nothing else run. */
const BREATH = 1_000
let played = 0

export const leaseModel: Campaign = {
  name: 'lease-model',
  summary: 'who holds an exclusive connection, in virtual time, with processes that stop, block and die',
  batch: 100_000,
  abandon: () => {},
  playRound: async (random, isTold = false) => {
    if (++played % BREATH === 0) await othersHaveRun()
    const plan = drawPlan(Math.floor(random.next() * 2 ** 32))
    const { violations, story } = playSchedule(plan, isTold)
    return {
      violations: violations.map(({ rule, what }) => `${rule}: ${what}`),
      story: isTold ? story : storyOf(plan, violations),
      folder: null,
    }
  },
}
