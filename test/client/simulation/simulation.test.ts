// The guarded client in a world of virtual time, with a network and peers that do whatever a network and peers can do.
// A violation prints the story of the shortest schedule found to break the same promise. Many more schedules are for
// `npm run campaign -- client-model`; whether the judges see anything at all is test/client/mutations/.

import t from 'tap'
import { GuardedClient } from '../../../src/client/guarded-client.js'
import { Random, seedOfRound } from '../../campaign/random.js'
import { drawPlan, type Plan } from './plan.js'
import { playSchedule } from './play-schedule.js'
import { keepWarningsQuiet, simulate } from './simulate.js'

const SEED = 1
const SCHEDULES = 20_000
/** Found by `npm run campaign -- client-model`. */
const ONCE_BROKEN = [
  // What waited to be resent was rejected because a slow consumer kept the answer of another message from being read.
  [2_027, 27_763],
] as const

const planOfCampaign = (seed: number, round: number): Plan =>
  drawPlan(Math.floor(new Random(seedOfRound(seed, round)).next() * 2 ** 32))

// It waits for nothing: 10 s of one core, which others may want as well.
t.setTimeout(300_000)

t.test(`${SCHEDULES} random schedules break no promise`, async (t) => {
  const begun = performance.now()
  const finding = await simulate(GuardedClient, { seed: SEED, rounds: SCHEDULES })
  if (finding !== null) t.comment(`schedule ${finding.round} of seed ${SEED}:\n${finding.story.join('\n')}`)
  t.same(finding?.violations ?? [], [])
  t.comment(`${((performance.now() - begun) / SCHEDULES).toFixed(2)} ms a schedule`)
})

t.test('schedules that once broke a promise do not any more', async (t) => {
  t.teardown(keepWarningsQuiet())
  for (const [seed, round] of ONCE_BROKEN) {
    const { violations } = await playSchedule(GuardedClient, planOfCampaign(seed, round))
    t.same(violations, [], `schedule ${round} of seed ${seed}`)
  }
})

t.test('a schedule is the same each time it is played, in every line of its story', async (t) => {
  t.teardown(keepWarningsQuiet())
  for (const round of [3, 33, 333]) {
    const plan = drawPlan(seedOfRound(SEED, round))
    const { story } = await playSchedule(GuardedClient, plan, true)
    t.same((await playSchedule(GuardedClient, plan, true)).story, story)
    t.ok(story.length > 10)
  }
})

t.test('schedules reach everything that a client can be told', async (t) => {
  t.teardown(keepWarningsQuiet())
  const random = new Random(SEED)
  const lines: string[] = []
  for (let count = 0; count < 1_500; count++)
    lines.push(...(await playSchedule(GuardedClient, drawPlan(random.int(0, 2 ** 32)), true)).story)
  const told = lines.join('\n')
  for (const what of [
    ...[
      'event connecting',
      'event opened',
      'event lost',
      'event waiting',
      'event refused',
      'event superseded',
    ],
    ...['event receiptsDegraded', 'event receiptsRestored', 'event closed'],
    ...['"level":"written"', '"level":"received"', '"level":"processed"'],
    ...['NOT_SENT', 'SEND_TIMEOUT', 'EXPIRED', 'ABORTED', 'OUTBOX_FULL', 'RECEIPTS_UNAVAILABLE'].map(
      (code) => `FORKSAFE_ERR_CLIENT_${code}`,
    ),
    ...['CONNECT_REFUSED', 'CONNECT_TIMEOUT', 'SUPERSEDED', 'FATE_UNKNOWN', 'CLOSED'].map(
      (code) => `FORKSAFE_ERR_CLIENT_${code}`,
    ),
    ...['was silent and did not answer', 'did not take what was written', 'did not answer pings for'],
    ...['answered the upgrade with 429', 'afterConnect failed', '→ pong', '→ close', '"to":"draining"'],
  ])
    t.ok(told.includes(what), what)
})
