// Whose turn it is to dial, on a fake clock and under random schedules.

import fc from 'fast-check'
import t from 'tap'
import { DialPacer } from '../../src/primary/dial-pacer.js'
import { MAX_OPEN_ASKS } from '../../src/shared/protocol.js'

const ORIGINS = ['ws://a', 'ws://b:81', 'wss://c']

type Step =
  | { do: 'ask'; worker: number; origin: string }
  | { do: 'withdraw'; which: number }
  | { do: 'die'; worker: number }
  | { do: 'wait'; ms: number }

interface Asked {
  worker: number
  id: number
  origin: string
  at: number
  /** What the pacer said it would take at most. */
  wait: number
  grantedAt: number | null
  isGivenUp: boolean
}

/** Plays a schedule as the desk does: it comes back whenever the pacer says so, and then until nobody waits. */
const play = (rate: number, steps: readonly Step[]): Asked[] => {
  const pacer = new DialPacer(rate)
  const all: Asked[] = []
  let now = 0
  const serve = (): void => {
    for (const { worker, id } of pacer.grant(now)) {
      const asked = all.find((one) => one.worker === worker && one.id === id)
      if (asked === undefined || asked.grantedAt !== null || asked.isGivenUp)
        throw new Error(`granted without a reason: ${worker}/${id}`)
      asked.grantedAt = now
    }
  }
  const passUntil = (end: number): void => {
    for (let wait = pacer.wait(now); wait !== null && now + Math.ceil(wait) <= end; wait = pacer.wait(now)) {
      now += Math.max(1, Math.ceil(wait))
      serve()
    }
    now = Math.max(now, Math.min(end, Number.MAX_SAFE_INTEGER))
  }
  const giveUp = (asked: Asked): void => {
    if (asked.grantedAt === null) asked.isGivenUp = true
  }
  for (const step of steps) {
    if (step.do === 'wait') passUntil(now + step.ms)
    if (step.do === 'ask') {
      const { worker, origin } = step
      const asked = { worker, id: all.length, origin, at: now, wait: 0, grantedAt: null, isGivenUp: false }
      const verdict = pacer.ask(asked, origin, now)
      if (verdict.answer === 'ignored') continue
      const wait = verdict.answer === 'later' ? verdict.wait : 0
      all.push({ ...asked, wait, grantedAt: verdict.answer === 'now' ? now : null })
    }
    if (step.do === 'withdraw') {
      const asked = all[step.which % Math.max(1, all.length)]
      if (asked === undefined) continue
      pacer.withdraw(asked)
      giveUp(asked)
    }
    if (step.do === 'die') {
      pacer.forget(step.worker)
      for (const asked of all) if (asked.worker === step.worker) giveUp(asked)
    }
  }
  passUntil(now + 3_600_000)
  return all
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      worker: fc.nat(4),
      origin: fc.constantFrom(...ORIGINS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw' as const), which: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), worker: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
)

t.test(
  'in any window at most burst + rate * t, first come first served, and everybody gets a turn',
  async (t) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.array(step, { maxLength: 200 }), (rate, steps) => {
        const all = play(rate, steps)
        for (const origin of ORIGINS) {
          const granted = all.filter((asked) => asked.origin === origin && asked.grantedAt !== null)
          const times = granted.map(({ grantedAt }) => grantedAt ?? 0)
          for (const [first, from] of times.entries()) {
            for (const [beyond, to] of times.slice(first).entries()) {
              const most = rate + (rate * (to - from)) / 1_000
              if (beyond + 1 > most + 1e-6)
                throw new Error(`${beyond + 1} to ${origin} within ${to - from} ms, at most ${most}`)
            }
            if (first > 0 && from < (times[first - 1] ?? 0)) throw new Error('overtaken')
          }
        }
        for (const { worker, id, at, wait, grantedAt, isGivenUp } of all) {
          if (isGivenUp) continue
          if (grantedAt === null) throw new Error(`${worker}/${id} never got its turn`)
          // Whole ms at each turn of the queue before it may add up; the tokens do not.
          if (grantedAt - at > wait + 1) throw new Error(`${worker}/${id} waited longer than it was told`)
        }
      }),
      { numRuns: 500 },
    )
    t.pass('500 schedules')
  },
)

t.test('a rate of 0 paces nothing, and a change of the rate counts from then on', async (t) => {
  const pacer = new DialPacer(0)
  for (let id = 0; id < 500; id++) t.same(pacer.ask({ worker: 1, id }, 'ws://a', 0), { answer: 'now' })
  t.equal(pacer.wait(0), null)
  pacer.setRate(2, 0)
  t.same(
    [1, 2, 3, 4].map((id) => pacer.ask({ worker: 1, id }, 'ws://a', 0)),
    [{ answer: 'now' }, { answer: 'now' }, { answer: 'later', wait: 500 }, { answer: 'later', wait: 1_000 }],
  )
  t.equal(pacer.wait(0), 500)
  pacer.setRate(1, 0)
  t.equal(pacer.wait(0), 1_000)
  pacer.setRate(0, 0)
  t.same(pacer.grant(0), [
    { worker: 1, id: 3 },
    { worker: 1, id: 4 },
  ])
  t.equal(pacer.wait(0), null)
})

t.test('origins wait for themselves alone', async (t) => {
  const pacer = new DialPacer(1)
  t.same(pacer.ask({ worker: 1, id: 1 }, 'ws://a', 0), { answer: 'now' })
  t.same(pacer.ask({ worker: 1, id: 2 }, 'ws://a', 0), { answer: 'later', wait: 1_000 })
  t.same(pacer.ask({ worker: 1, id: 3 }, 'ws://b', 0), { answer: 'now' })
})

t.test('who gives up a place makes room for the next', async (t) => {
  const pacer = new DialPacer(1)
  for (const [worker, id] of [
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 2],
    [3, 1],
  ] as const)
    pacer.ask({ worker, id }, 'ws://a', 0)
  pacer.forget(2)
  pacer.withdraw({ worker: 1, id: 2 })
  pacer.withdraw({ worker: 9, id: 9 })
  t.same(pacer.grant(1_000), [{ worker: 3, id: 1 }])
  t.equal(pacer.wait(1_000), null)
})

t.test(
  'a worker that asks without bound, or twice, is ignored beyond the bound; others are served',
  async (t) => {
    const pacer = new DialPacer(1)
    const ask = (worker: number, id: number): string => pacer.ask({ worker, id }, 'ws://a', 0).answer
    t.equal(ask(1, 0), 'now')
    for (let id = 1; id <= MAX_OPEN_ASKS; id++) t.equal(ask(1, id), 'later')
    t.equal(ask(1, 1), 'ignored')
    t.equal(ask(1, 1_000), 'ignored')
    t.equal(ask(2, 1), 'later')
  },
)

t.test(
  'beyond the bound on origins all others share one bucket; those that are full again are forgotten',
  async (t) => {
    const pacer = new DialPacer(1)
    for (let n = 0; n < 1_000; n++) t.equal(pacer.ask({ worker: n, id: 0 }, `ws://${n}`, 0).answer, 'now')
    t.equal(pacer.ask({ worker: 1, id: 1 }, 'ws://x', 0).answer, 'now', 'the first of the others')
    t.equal(pacer.ask({ worker: 1, id: 2 }, 'ws://y', 0).answer, 'later', 'shares its bucket')
    t.equal(pacer.ask({ worker: 1, id: 3 }, 'ws://7', 0).answer, 'later', 'has kept its own')
    t.equal(pacer.ask({ worker: 1, id: 4 }, 'ws://z', 1_000).answer, 'now', 'there is room again')
  },
)

t.test('a turn that is taken without asking is one of all, and goes before nobody who waits', async (t) => {
  const pacer = new DialPacer(2)
  t.ok(pacer.takeTurn('ws://a', 0))
  t.same(pacer.ask({ worker: 1, id: 1 }, 'ws://a', 0), { answer: 'now' })
  t.notOk(pacer.takeTurn('ws://a', 0))
  t.same(pacer.ask({ worker: 1, id: 2 }, 'ws://a', 0), { answer: 'later', wait: 500 })
  t.notOk(pacer.takeTurn('ws://a', 500))
  t.same(pacer.grant(500), [{ worker: 1, id: 2 }])
  t.ok(pacer.takeTurn('ws://b', 500))
  t.ok(new DialPacer(0).takeTurn('ws://a', 0))
})
