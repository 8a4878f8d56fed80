// What a test says of an exploration: the bound, the states, and the schedule of what was found.

import type { Test } from 'tap'
import { type Exploration, explore, type Model } from './explore.js'

/** More than the largest of these worlds has. */
export const MOST_STATES = 500_000

/** Explores all of a world, and expects nothing wrong anywhere. */
export const expectSafe = <State>(t: Test, model: Model<State>): void => {
  const result = explore(model, { mostStates: MOST_STATES })
  t.comment(`${result.states} states, ${result.depth} deep`)
  if (result.finding !== null) t.comment(scheduleOf(result))
  t.equal(result.finding?.what ?? 'nothing', 'nothing')
  t.ok(result.isExhaustive, 'every state was seen')
}

/** Expects that something is wrong somewhere. The schedule is printed when `FORKSAFE_TEST_SCHEDULES` is set. */
export const expectFinding = <State>(t: Test, model: Model<State>, what: RegExp): void => {
  const result = explore(model, { mostStates: MOST_STATES })
  t.comment(`${result.states} states until it is found, by ${result.depth} steps`)
  if (process.env.FORKSAFE_TEST_SCHEDULES !== undefined) t.comment(scheduleOf(result))
  t.match(result.finding?.what ?? 'nothing', what)
}

const scheduleOf = ({ finding }: Exploration): string =>
  [finding?.what, ...(finding?.schedule ?? [])].join('\n  ')
