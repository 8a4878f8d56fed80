// Arbiter, claims and fence in a world of virtual time, where processes are killed, stopped and blocked, channels break,
// and the upstream does what it likes. A violation prints the story of the shortest schedule found to break the same
// promise. Many more schedules are for `npm run campaign -- lease-model`; whether the judge sees anything at all is
// test/lease/mutations/; what is exhaustive is test/lease/explorer/.

import t from 'tap'
import { Random, seedOfRound } from '../../campaign/random.js'
import { drawPlan } from './plan.js'
import { playSchedule } from './play-schedule.js'
import { findViolation, storyOf } from './simulate.js'

const SEED = 1
const SCHEDULES = 30_000

// It waits for nothing: 10 s of one core, which others may want as well.
t.setTimeout(300_000)

t.test(`${SCHEDULES} random schedules break no promise`, async (t) => {
  const begun = performance.now()
  const broken = findViolation({ seed: SEED, rounds: SCHEDULES })
  if (broken !== null)
    t.comment(`schedule ${broken.round}:\n${storyOf(broken.plan, broken.violations).join('\n')}`)
  t.same(broken?.violations ?? [], [])
  t.comment(`seed ${SEED}, ${((performance.now() - begun) / SCHEDULES).toFixed(2)} ms a schedule`)
})

t.test('a schedule is the same each time it is played, in every line of its story', async (t) => {
  for (const round of [3, 33, 333]) {
    const plan = drawPlan(seedOfRound(SEED, round))
    const { story } = playSchedule(plan, true)
    t.same(playSchedule(plan, true).story, story)
    t.ok(story.length > 10)
  }
})

t.test('schedules reach everything that can be said to and by an arbiter', async (t) => {
  const random = new Random(SEED)
  const told = Array.from({ length: 1_500 }, () => playSchedule(drawPlan(random.int(0, 2 ** 32)), true))
    .flatMap(({ story }) => story)
    .join('\n')
  for (const event of [
    ...['joined', 'proved', 'leaving', 'exited', 'claimed', 'insisted', 'needed', 'withdrawn', 'released'],
    ...['opened', 'failed', 'blocked', 'tryOut', 'keep', 'giveBack', 'distrusted', 'handOver', 'tick'],
  ])
    t.ok(told.includes(`arbiter ← {"type":"${event}"`), event)
  for (const effect of [...['grant', 'revoke', 'kill', 'trying', 'tried', 'handedOver', 'acquired', 'lost']])
    t.ok(told.includes(`arbiter → {"type":"${effect}"`), effect)
  for (const why of [
    ...['it was told to let go of what it holds, and did not', 'it did not answer for 5 s'],
    ...['another session took our place meanwhile', 'another supervisor or program took it meanwhile'],
    ...['its process ended', 'it did not open in time', 'it is not wanted', 'nobody holds it'],
  ])
    t.ok(told.includes(why), why)
})
