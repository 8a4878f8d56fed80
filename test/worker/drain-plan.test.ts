import fc from 'fast-check'
import t from 'tap'
import {
  type DrainEffect,
  DrainPlan,
  type DrainView,
  drainTimes,
  earlier,
  nextMoment,
} from '../../src/worker/drain-plan.js'

const times = drainTimes(0, 10_000)

const QUIET: DrainView = {
  now: 0,
  times,
  barrierPassed: true,
  requests: 0,
  background: 0,
  longLived: 0,
  idle: 0,
  lastActivityAt: 0,
  freshUntil: 0,
  appListens: false,
  hooksDone: true,
  clientsDone: true,
  farewellDone: true,
}

/** All effects until nothing more happens. */
const effectsOf = (plan: DrainPlan, view: DrainView): DrainEffect[] => {
  const all: DrainEffect[] = []
  for (let some = plan.advance(view); some.length > 0; some = plan.advance(view)) all.push(...some)
  return all
}

t.test('a process with nothing to do goes through every phase at once, in order', async (t) => {
  t.same(effectsOf(new DrainPlan(), QUIET), ['endIdle', 'runHooks', 'closeClients', 'endByForce', 'leave'])
  t.same(effectsOf(new DrainPlan(), { ...QUIET, appListens: true }), [
    'endIdle',
    'runHooks',
    'closeClients',
    'callAppListeners',
    'endByForce',
    'leave',
  ])
})

t.test('hooks wait for the barrier, for requests, for background work and for the lull', async (t) => {
  for (const [what, view, from] of [
    ['barrier', { barrierPassed: false }, times.answerBy],
    ['requests', { requests: 1 }, times.answerBy],
    ['background work', { background: 1 }, times.backgroundBy],
    ['idle connections', { idle: 1, lastActivityAt: 100 }, 100 + times.lull],
  ] as const) {
    const before = new DrainPlan()
    t.same(effectsOf(before, { ...QUIET, ...view, now: from - 1 }), [], `${what} hold back the hooks`)
    t.equal(nextMoment(before.phase, { ...QUIET, ...view, now: from - 1 }), from, `and when to look again`)
    t.equal(
      effectsOf(new DrainPlan(), { ...QUIET, ...view, now: from })[1],
      'runHooks',
      `${what}: not for ever`,
    )
  }
})

t.test('upgraded sockets hold back neither hooks nor the app’s own listeners, which end them', async (t) => {
  const plan = new DrainPlan()
  const view = { ...QUIET, longLived: 3, appListens: true }
  t.same(effectsOf(plan, view), ['endIdle', 'runHooks', 'closeClients', 'callAppListeners'])
  t.same(effectsOf(plan, { ...view, longLived: 0 }), ['endByForce', 'leave'])
})

t.test('without such listeners clients stay open for as long as upgraded sockets do', async (t) => {
  const plan = new DrainPlan()
  t.same(effectsOf(plan, { ...QUIET, longLived: 1 }), ['endIdle', 'runHooks'])
  t.same(effectsOf(plan, { ...QUIET, longLived: 1, now: times.deadline }), [
    'endByForce',
    'closeClients',
    'endByForce',
    'leave',
  ])
})

t.test('past the deadline the app’s own listeners are not called any more', async (t) => {
  const effects = effectsOf(new DrainPlan(), { ...QUIET, appListens: true, now: times.deadline })
  t.notOk(effects.includes('callAppListeners'))
  t.equal(effects.at(-1), 'leave')
})

t.test('the moments of a drain keep their order in every budget', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 3_600_000 }), (now, budget) => {
        const { lull, backgroundBy, answerBy, deadline, end } = drainTimes(now, budget)
        const moments = [now, backgroundBy, answerBy, deadline, end, now + budget]
        return (
          lull <= 500 && moments.every((moment, index) => index === 0 || moment >= (moments[index - 1] ?? 0))
        )
      }),
    ),
  )
})

t.test('a later order shortens a drain and never lengthens it', async (t) => {
  t.same(earlier(times, drainTimes(100, 60_000)), times)
  t.equal(earlier(times, drainTimes(100, 1_500)).end, drainTimes(100, 1_500).end)
})

t.test(
  'whatever is seen, effects come in the one order, each phase once, and the deadline ends all waiting',
  async (t) => {
    const ORDER: DrainEffect[] = ['endIdle', 'runHooks', 'closeClients', 'callAppListeners', 'leave']
    const view = fc.record({
      now: fc.integer({ min: 0, max: 12_000 }),
      barrierPassed: fc.boolean(),
      requests: fc.nat({ max: 2 }),
      background: fc.nat({ max: 2 }),
      longLived: fc.nat({ max: 2 }),
      idle: fc.nat({ max: 2 }),
      lastActivityAt: fc.integer({ min: 0, max: 12_000 }),
      appListens: fc.boolean(),
      hooksDone: fc.boolean(),
      clientsDone: fc.boolean(),
      farewellDone: fc.boolean(),
    })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.array(view, { maxLength: 30 }), (views) => {
          const plan = new DrainPlan()
          const effects = views.flatMap((seen) => plan.advance({ ...QUIET, ...seen }))
          effects.push(
            ...effectsOf(plan, { ...QUIET, now: 20_000, requests: 2, longLived: 2, idle: 2, background: 2 }),
          )
          const ordered = effects
            .filter((effect) => effect !== 'endByForce')
            .map((effect) => ORDER.indexOf(effect))
          const isRising = ordered.every((place, index) => index === 0 || place > (ordered[index - 1] ?? -1))
          return isRising && plan.phase === 'leaving' && effects.at(-1) === 'leave'
        }),
      ),
    )
  },
)
