// What a round of the campaign `relay` does, and when: pure data, made up from the seed. How it is done is faults.ts, what
// must hold is judge.ts.

import type { Random } from '../random.js'

export type Fault =
  /** By SIGKILL; `whose`: the owner of the spool, or another worker. */
  | { type: 'kill-worker'; whose: 'owner' | 'other' }
  /** By SIGKILL, and started again at once. */
  | { type: 'kill-primary' }
  | { type: 'kill-upstream'; downFor: number }
  | { type: 'stop-worker'; whose: 'owner' | 'other'; ms: number }
  | { type: 'stop-upstream'; ms: number }
  /** A rolling restart. */
  | { type: 'reload' }
  /** The spool's disk has no byte left for so long. */
  | { type: 'disk-full'; ms: number }
  /** fdatasync() and fsync() of the workers fail for so long, each so many-th call. */
  | { type: 'fsync-fails'; ms: number; each: number }

export interface RelayPlan {
  callers: number
  /** How often out of one a caller hands in several at once. */
  batches: number
  /** Most ms between two calls of a caller. */
  pause: number
  workers: number
  seed: number
  steps: { at: number; fault: Fault }[]
}

/** Within this the faults begin (ms). */
const STORM = 4_000

export const makePlan = (random: Random): RelayPlan => ({
  callers: 50,
  batches: 0.15,
  pause: random.int(10, 80),
  workers: random.weighted([
    [4, 2],
    [1, 1],
    [1, 3],
  ]),
  seed: random.int(1, 2 ** 31),
  steps: Array.from({ length: random.int(2, 6) }, () => ({
    at: random.int(0, STORM),
    fault: makeFault(random),
  })).sort((one, other) => one.at - other.at),
})

const makeFault = (random: Random): Fault =>
  random.weighted<() => Fault>([
    [4, () => ({ type: 'kill-worker', whose: random.chance(0.7) ? 'owner' : 'other' })],
    [2, () => ({ type: 'kill-primary' })],
    [3, () => ({ type: 'kill-upstream', downFor: random.int(0, 1_500) })],
    [
      2,
      () => ({
        type: 'stop-worker',
        whose: random.chance(0.7) ? 'owner' : 'other',
        ms: random.int(50, 2_500),
      }),
    ],
    [1, () => ({ type: 'stop-upstream', ms: random.int(50, 2_000) })],
    [2, () => ({ type: 'reload' })],
    [3, () => ({ type: 'disk-full', ms: random.int(50, 1_500) })],
    [3, () => ({ type: 'fsync-fails', ms: random.int(100, 1_500), each: random.int(1, 4) })],
  ])()

export const describePlan = ({ steps, ...rest }: RelayPlan): string[] => [
  `plan: ${JSON.stringify(rest)}`,
  ...steps.map(({ at, fault }) => `  at ${at} ms: ${JSON.stringify(fault)}`),
]
