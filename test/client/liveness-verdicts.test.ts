// What silence means, from times alone. With real peers: liveness.test.ts.

import t, { type Test } from 'tap'
import { Liveness, type Verdict } from '../../src/client/liveness.js'

const OPTIONS = { heartbeatInterval: 20_000, heartbeatTimeout: 10_000, receiptTimeout: 30_000 }

const begun = (options = OPTIONS): Liveness => {
  const liveness = new Liveness(options)
  liveness.begin(0)
  return liveness
}

const verdicts = (t: Test, liveness: Liveness, all: [at: number, verdict: Verdict][]): void => {
  for (const [at, verdict] of all) t.equal(liveness.judge(at), verdict, `at ${at}`)
}

t.test('nothing heard for an interval: time to ping', async (t) => {
  const liveness = begun()
  liveness.heard(5_000)
  verdicts(t, liveness, [
    [24_999, 'fine'],
    [25_000, 'quiet'],
  ])
  t.equal(liveness.dueAt(), 25_000)
})

t.test('no answer and nothing else either: silent', async (t) => {
  const liveness = begun()
  liveness.asked(20_000)
  verdicts(t, liveness, [
    [29_999, 'fine'],
    [30_000, 'silent'],
  ])
})

t.test('whatever comes in is a sign of life, but no answer', async (t) => {
  const liveness = begun()
  liveness.asked(20_000)
  liveness.heard(29_000)
  verdicts(t, liveness, [
    [30_000, 'unanswered'],
    [39_000, 'silent'],
    [50_000, 'unproved'],
  ])
})

t.test(
  'a kernel that takes more of what is queued is a sign of life; one that does not is stuck',
  async (t) => {
    const liveness = begun()
    liveness.queued(0)
    liveness.asked(0)
    liveness.flushed(false, 9_000)
    verdicts(t, liveness, [
      [18_999, 'fine'],
      [19_000, 'silent'],
      [39_000, 'stuck'],
    ])
  },
)

t.test('while we do not read silence says nothing, and the peer is told that we are there', async (t) => {
  const liveness = begun()
  liveness.asked(1_000)
  liveness.paused(2_000)
  verdicts(t, liveness, [
    [21_999, 'fine'],
    [22_000, 'held'],
    [31_000, 'unread'],
  ])
  liveness.resumed(31_000)
  t.equal(liveness.judge(40_999), 'unread', 'the answer may still be behind what waited')
})

t.test('without a heartbeat nobody asks, but what is owed stays owed', async (t) => {
  const liveness = begun({ ...OPTIONS, heartbeatInterval: 0 })
  t.equal(liveness.dueAt(), Number.POSITIVE_INFINITY)
  liveness.asked(1_000)
  t.equal(liveness.judge(11_000), 'silent')
})

t.test('after a sleep the peer has a second to be heard', async (t) => {
  const liveness = begun()
  liveness.asked(20_000)
  t.notOk(liveness.isLate(30_000, 30_900))
  t.ok(liveness.isLate(30_000, 90_000))
  liveness.forgive(90_000)
  verdicts(t, liveness, [
    [90_999, 'fine'],
    [91_000, 'silent'],
  ])
})

t.test('that second is the same, however short the timeout', async (t) => {
  const liveness = begun({ ...OPTIONS, heartbeatTimeout: 30 })
  liveness.asked(0)
  liveness.forgive(5_000)
  verdicts(t, liveness, [
    [5_999, 'fine'],
    [6_000, 'silent'],
  ])
})

t.test('who sleeps again and again does not forgive more and more', async (t) => {
  const liveness = begun({ ...OPTIONS, heartbeatTimeout: 300 })
  liveness.asked(0)
  for (const woken of [5_000, 10_000, 15_000]) {
    liveness.forgive(woken)
    liveness.flushed(true, woken)
    liveness.asked(woken)
  }
  liveness.answered(15_000)
  t.equal(liveness.dueAt(), 15_700 + OPTIONS.heartbeatInterval)
})
