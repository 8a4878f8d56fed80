// Plays schedule after schedule until one breaks a promise, makes that one short, and tells its story.

import { seedOfRound } from '../../campaign/random.js'
import { drawPlan, type Plan } from './plan.js'
import { type ClientClass, type Played, playSchedule } from './play-schedule.js'
import type { Rule, Violation } from './verdicts.js'

export interface Broken {
  /** Which schedule of the seed. */
  round: number
  plan: Plan
  violations: Violation[]
}

export interface Finding extends Broken {
  /** Of the shortest schedule that was found to break the same promise. */
  story: string[]
}

export interface Rounds {
  seed: number
  rounds: number
}

/** @returns the first finding with its story, or null. */
export const simulate = async (Client: ClientClass, rounds: Rounds): Promise<Finding | null> => {
  const restore = keepWarningsQuiet()
  try {
    const broken = await findViolation(Client, rounds)
    return broken && { ...broken, story: await storyOf(Client, broken.plan, broken.violations) }
  } finally {
    restore()
  }
}

/** @returns the first schedule that breaks a promise, or null. */
export const findViolation = async (
  Client: ClientClass,
  { seed, rounds }: Rounds,
): Promise<Broken | null> => {
  for (let round = 0; round < rounds; round++) {
    const plan = drawPlan(seedOfRound(seed, round))
    const { violations } = await playSchedule(Client, plan)
    if (violations.length > 0) return { round, plan, violations }
  }
  return null
}

/** The story of a schedule that breaks the first of these promises, without what it does not need. */
export const storyOf = async (
  Client: ClientClass,
  plan: Plan,
  violations: Violation[],
): Promise<string[]> => {
  const [first] = violations
  if (first === undefined) return []
  const { story } = await playSchedule(Client, await shorten(Client, plan, first.rule), true)
  return story
}

/** Leaves out parts, then single steps, as long as the same promise is broken. */
const shorten = async (Client: ClientClass, plan: Plan, rule: Rule): Promise<Plan> => {
  let shortest = plan
  const isBroken = ({ violations }: Played): boolean =>
    violations.some((violation) => violation.rule === rule)
  for (const key of ['steps', 'listeners'] as const) {
    for (let size = Math.ceil(shortest[key].length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < shortest[key].length; ) {
        const without = { ...shortest, [key]: shortest[key].toSpliced(at, size) }
        if (isBroken(await playSchedule(Client, without))) shortest = without
        else at += size
      }
    }
  }
  return shortest
}

/** Peers that answer no pings are announced by a process warning each time: here that is ordinary. */
export const keepWarningsQuiet = (): (() => void) => {
  const { emitWarning } = process
  const isOrdinary = (options: unknown): boolean =>
    (options as { code?: unknown } | undefined)?.code === 'FORKSAFE_WARN_RECEIPTS_DEGRADED'
  const quiet = (...args: unknown[]): void => {
    if (!isOrdinary(args[1])) Reflect.apply(emitWarning, process, args)
  }
  process.emitWarning = quiet
  return () => {
    process.emitWarning = emitWarning
  }
}
