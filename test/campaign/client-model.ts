// The campaign `client-model`: schedules of test/client/simulation, as many as there is time for. A round is a schedule in
// virtual time, so that it takes less than a millisecond, leaves nothing, and is the same each time it is played.

import { setImmediate as othersHaveRun } from 'node:timers/promises'
import { GuardedClient } from '../../src/client/guarded-client.js'
import { drawPlan } from '../client/simulation/plan.js'
import { playSchedule } from '../client/simulation/play-schedule.js'
import { keepWarningsQuiet, storyOf } from '../client/simulation/simulate.js'
import type { Campaign } from './campaign.js'

/** After so many schedules signals are looked at: virtual time lets nothing else run. */
const BREATH = 100
let played = 0

export const clientModel: Campaign = {
  name: 'client-model',
  summary: 'the guarded client in virtual time, with a network and peers that do whatever they can do',
  batch: 10_000,
  abandon: () => {},
  playRound: async (random, isTold = false) => {
    if (++played % BREATH === 0) await othersHaveRun()
    const restore = keepWarningsQuiet()
    try {
      const plan = drawPlan(Math.floor(random.next() * 2 ** 32))
      const { violations, story } = await playSchedule(GuardedClient, plan, isTold)
      return {
        violations: violations.map(({ rule, what }) => `${rule}: ${what}`),
        story: isTold ? story : await storyOf(GuardedClient, plan, violations),
        folder: null,
      }
    } finally {
      restore()
    }
  },
}
