// Plans of the lifecycle campaign: reproducible, within their bounds, and rich.

import t from 'tap'
import { Random } from '../random.js'
import { makePlan } from './make-plan.js'
import { describePlan } from './plan.js'

const PLANS = 2_000

const plans = Array.from({ length: PLANS }, (_, seed) => makePlan(new Random(seed)))

t.test('the same seed makes the same plan', async (t) => {
  t.same(makePlan(new Random(42)), plans[42])
  t.notSame(plans[42], plans[43])
  const told = describePlan(makePlan(new Random(42)))
  t.equal(
    told.length,
    (plans[42]?.actions.length ?? 0) + 2,
    'a line for each action, the beginning and the end',
  )
})

t.test('every plan keeps its bounds', async (t) => {
  for (const { first, actions, endsAt } of plans) {
    if (actions.length < 3 || actions.length > 8) t.fail(`${actions.length} actions`)
    if (first.kind !== 'good') t.fail('the first release must be good')
    if (endsAt !== 'rest' && endsAt > 2_000) t.fail(`the end comes at ${endsAt} ms`)
    for (const { action } of actions) {
      const longest = action.type === 'pauseWorker' ? 7_000 : 1_000
      if ('ms' in action && action.ms > longest) t.fail(`a pause of ${action.ms} ms`)
    }
  }
})

t.test('all kinds of actions, releases and ends are met', async (t) => {
  const actions = plans.flatMap((plan) => plan.actions.map(({ action }) => action))
  t.equal(new Set(actions.map(({ type }) => type)).size, 12)
  const reloads = actions.flatMap((action) => (action.type === 'reload' ? [action] : []))
  t.equal(new Set(reloads.map(({ release }) => release.kind)).size, 5)
  t.equal(new Set(reloads.map(({ via }) => via)).size, 4)
  t.equal(new Set(plans.map(({ ending }) => ending.type)).size, 6)
})
