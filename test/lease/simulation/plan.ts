// What a schedule is: how the world is, and what is done to it when, drawn from a seed. Every step says all that it needs,
// so that one can be left out without the others becoming something else.

import { Random } from '../../campaign/random.js'

export type Act =
  | { do: 'start a worker'; generation: number; identities: string[]; provedAfter: number }
  | { do: 'try out'; worker: number; watch: number; outcome: 'keep' | 'give back' }
  | { do: 'hand over'; identity: string; to: number | null }
  | { do: 'leave'; worker: number }
  /** A release that turned out bad after it was kept. */
  | { do: 'distrust'; generation: number }
  | { do: 'claim' | 'withdraw' | 'need' | 'insist'; worker: number; identity: string }
  | { do: 'kill' | 'cut the channel'; worker: number }
  /** Stopped or blocked; for ever, unless somebody ends it. */
  | { do: 'pause'; worker: number; ms: number | null }
  | { do: 'pause the primary'; ms: number }
  /** A plain script, or a worker of another tree, that wants the same. */
  | { do: 'start a script'; identity: string; stays: number }
  | { do: 'upstream'; slowness: number; isRefusing: boolean; isRude: boolean }
  | { do: 'upstream ends'; identity: string; how: 'closed' | 'superseded' }

export interface Step {
  /** ms after the step before. */
  after: number
  act: Act
}

export interface Plan {
  seed: number
  /** ms that a message between processes takes, at most. */
  delay: number
  /** Whether the primary reads what came in before it looks at the time. */
  readsFirst: boolean
  steps: Step[]
}

export const IDENTITIES = ['a', 'b'] as const

export const drawPlan = (seed: number): Plan => {
  const random = new Random(seed)
  const identities = random.chance(0.6) ? IDENTITIES.slice(0, 1) : IDENTITIES
  const delay = random.pick([1, 20, 20, 300])
  const steps: Step[] = Array.from({ length: random.int(1, 3) }, () => ({
    after: random.int(0, 300),
    act: start(random, 1, identities),
  }))
  if (random.chance(0.7)) steps.push({ after: random.int(100, 3_000), act: start(random, 2, identities) })
  const first = steps.length
  const length = random.int(1, random.pick([4, 12, 12, 30]))
  const rest = Array.from({ length }, () => drawStep(random, identities, first))
  return { seed, delay, readsFirst: random.chance(0.5), steps: [...steps, ...rest] }
}

const start = (random: Random, generation: number, identities: readonly string[]): Act => ({
  do: 'start a worker',
  generation,
  identities: random.chance(0.85) ? [...identities] : [random.pick(identities)],
  provedAfter: random.pick([500, 3_000, 60_000]),
})

const drawStep = (random: Random, identities: readonly string[], workers: number): Step => ({
  after: random.weighted<() => number>([
    [2, () => random.int(0, 3)],
    [4, () => random.int(3, 400)],
    [4, () => random.int(400, 3_000)],
    [1, () => random.int(3_000, 9_000)],
  ])(),
  act: drawAct(random, identities, workers),
})

const drawAct = (random: Random, identities: readonly string[], workers: number): Act => {
  // Numbers begin at 1; the newest is often the one that matters.
  const worker = random.chance(0.4) ? workers : random.int(1, workers + 1)
  const identity = random.pick(identities)
  return random.weighted<() => Act>([
    [
      10,
      () => ({
        do: 'try out',
        worker,
        watch: random.pick([0, 100, 2_000, 6_000]),
        outcome: random.pick(['keep', 'give back'] as const),
      }),
    ],
    [10, () => ({ do: 'hand over', identity, to: random.chance(0.4) ? null : worker })],
    [6, () => ({ do: 'leave', worker })],
    [2, () => ({ do: 'distrust', generation: random.int(1, 3) })],
    [4, () => start(random, random.int(1, 3), identities)],
    [3, () => ({ do: 'claim', worker, identity })],
    [4, () => ({ do: 'withdraw', worker, identity })],
    [2, () => ({ do: 'need', worker, identity })],
    [2, () => ({ do: 'insist', worker, identity })],
    [5, () => ({ do: 'kill', worker })],
    [3, () => ({ do: 'cut the channel', worker })],
    [
      9,
      () => ({
        do: 'pause',
        worker,
        ms: random.pick([600, 3_900, 4_300, 4_700, 5_100, 8_000, 20_000, null]),
      }),
    ],
    [
      6,
      () => ({ do: 'pause the primary', ms: random.pick([600, 1_500, 3_900, 4_800, 5_500, 6_500, 15_000]) }),
    ],
    [4, () => ({ do: 'start a script', identity, stays: random.pick([500, 4_000, 15_000]) })],
    [
      5,
      () => ({
        do: 'upstream',
        slowness: random.pick([5, 800, 6_000]),
        isRefusing: random.chance(0.3),
        isRude: random.chance(0.3),
      }),
    ],
    [
      5,
      () => ({
        do: 'upstream ends',
        identity,
        how: random.pick(['closed', 'closed', 'superseded'] as const),
      }),
    ],
  ])()
}
