// What a stop may take under pm2. How long a real pm2 waits is seen in test/process/under-pm2.test.ts.

import t from 'tap'
import { fitToKillTimeout, type StopTimes } from '../../src/manager/kill-timeout.js'

const fit = (times: StopTimes, environment: NodeJS.ProcessEnv) => {
  const said: string[] = []
  return { times: fitToKillTimeout(times, (text) => said.push(text), environment), said }
}

t.test('without pm2 nothing is cut', async (t) => {
  const times = { stopTimeout: 25_000, shutdownDelay: 5_000 }
  t.same(fit(times, { kill_timeout: '1600' }), { times, said: [] })
})

t.test('a stop fits into kill_timeout with a margin, and who cuts it is told the fix', async (t) => {
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0' }), {
    times: { stopTimeout: 1_300, shutdownDelay: 0 },
    said: [
      'pm2 kills after 1.6s: stopTimeout is cut from 25s to 1.3s; set kill_timeout in its ecosystem file to 27000 or more',
    ],
  })
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0', kill_timeout: '27000' }), {
    times: { stopTimeout: 25_000, shutdownDelay: 0 },
    said: [],
  })
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0', kill_timeout: '10000' }).times, {
    stopTimeout: 9_500,
    shutdownDelay: 0,
  })
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0', kill_timeout: '10' }).times, {
    stopTimeout: 1,
    shutdownDelay: 0,
  })
})

t.test('of what is left the drain comes first, the delay before it gets the rest', async (t) => {
  const times = { stopTimeout: 25_000, shutdownDelay: 10_000 }
  t.same(fit(times, { pm_id: '0', kill_timeout: '37000' }), { times, said: [] })
  t.same(fit(times, { pm_id: '0', kill_timeout: '30000' }), {
    times: { stopTimeout: 25_000, shutdownDelay: 3_500 },
    said: [
      'pm2 kills after 30s: shutdownDelay is cut from 10s to 3.5s; set kill_timeout in its ecosystem file to 37000 or more',
    ],
  })
  t.same(fit(times, { pm_id: '0' }).times, { stopTimeout: 1_300, shutdownDelay: 0 })
})

t.test("of pm2's own default only a shorter one is relied on", async (t) => {
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0', PM2_KILL_TIMEOUT: '1000' }).times, {
    stopTimeout: 700,
    shutdownDelay: 0,
  })
  t.same(fit({ stopTimeout: 25_000, shutdownDelay: 0 }, { pm_id: '0', PM2_KILL_TIMEOUT: '60000' }).times, {
    stopTimeout: 1_300,
    shutdownDelay: 0,
  })
})
