import fc from 'fast-check'
import t from 'tap'
import { RestartPolicy } from '../../src/primary/restart-policy.js'

const LIMITS = { intensity: 3, period: 60_000, onExceeded: 'backoff' as const }
const random = () => 0.5

t.test('the first crash is followed at once, the next ones later and later', async (t) => {
  const policy = new RestartPolicy()
  const delays = [0, 1, 2].map((n) => policy.crashed(n, null, LIMITS, random).delay)
  t.same(delays, [0, 150, 200])
})

t.test('beyond the intensity the slot waits until the oldest crash that counts is over', async (t) => {
  const policy = new RestartPolicy()
  for (const at of [1_000, 2_000, 3_000]) policy.crashed(at, null, LIMITS, random)
  t.same(policy.crashed(10_000, null, LIMITS, random), { delay: 51_000, crashes: 4, isExceeded: true })
})

t.test('in any row of crashes no more than intensity restarts fall into a period', async () => {
  const limits = fc.record({
    intensity: fc.integer({ min: 0, max: 12 }),
    period: fc.integer({ min: 1_000, max: 100_000 }),
  })
  const property = fc.property(
    limits,
    fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 60 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (given, lives, luck) => {
      const policy = new RestartPolicy()
      const restarts: number[] = []
      let now = 0
      for (const life of lives) {
        now += life
        const { delay } = policy.crashed(now, null, { ...given, onExceeded: 'backoff' }, () => luck)
        now += Math.ceil(delay)
        restarts.push(now)
      }
      for (const at of restarts) {
        const within = restarts.filter((other) => other > at - given.period && other <= at).length
        // An intensity of 0 still allows one attempt a period.
        if (within > Math.max(1, given.intensity)) return false
      }
      return true
    },
  )
  fc.assert(property, { numRuns: 2_000 })
})

t.test('a stop signal is given time to reach the primary too', async (t) => {
  t.equal(new RestartPolicy().crashed(0, 'SIGINT', LIMITS, random).delay, 100)
  t.equal(new RestartPolicy().crashed(0, 'SIGKILL', LIMITS, random).delay, 0)
})

t.test('a new release starts with a clean record', async (t) => {
  const policy = new RestartPolicy()
  for (let n = 0; n < 10; n++) policy.crashed(n, null, LIMITS, random)
  policy.forget()
  t.same(policy.crashed(20, null, LIMITS, random), { delay: 0, crashes: 1, isExceeded: false })
})
