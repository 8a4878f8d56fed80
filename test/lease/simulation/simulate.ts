// Plays schedule after schedule until one breaks a promise, makes that one short, and tells its story.

import { seedOfRound } from '../../campaign/random.js'
import { type Cores, REAL_CORES } from './cores.js'
import { drawPlan, type Plan } from './plan.js'
import { playSchedule } from './play-schedule.js'
import type { Rule, Violation } from './verdicts.js'

export interface Broken {
  /** Which schedule of the seed. */
  round: number
  plan: Plan
  violations: Violation[]
}

/** @returns the first schedule that breaks a promise, or null. */
export const findViolation = (
  { seed, rounds }: { seed: number; rounds: number },
  cores: Cores = REAL_CORES,
): Broken | null => {
  for (let round = 0; round < rounds; round++) {
    const plan = drawPlan(seedOfRound(seed, round))
    const { violations } = playSchedule(plan, false, cores)
    if (violations.length > 0) return { round, plan, violations }
  }
  return null
}

/** The story of a schedule that breaks the first of these promises, without what it does not need. */
export const storyOf = (plan: Plan, violations: Violation[], cores: Cores = REAL_CORES): string[] => {
  const [first] = violations
  return first === undefined ? [] : playSchedule(shorten(plan, first.rule, cores), true, cores).story
}

/** Leaves out parts, then single steps, as long as the same promise is broken; a step keeps its moment. */
const shorten = (plan: Plan, rule: Rule, cores: Cores): Plan => {
  let shortest = plan
  const isBroken = (shorter: Plan): boolean =>
    playSchedule(shorter, false, cores).violations.some((violation) => violation.rule === rule)
  for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < shortest.steps.length; ) {
      const without = [dropped(shortest, at, size), dropped(shortest, at, size, 'in time')].find(isBroken)
      if (without !== undefined) shortest = without
      else at += size
    }
  }
  return shortest
}

const dropped = (plan: Plan, at: number, size: number, how?: 'in time'): Plan => {
  const steps = [...plan.steps]
  const left = steps.splice(at, size).reduce((sum, { after }) => sum + after, 0)
  const next = steps[at]
  if (how === 'in time' && next !== undefined) steps[at] = { ...next, after: next.after + left }
  return { ...plan, steps }
}
