// Makes up a round of one kind of fault: pure, all from the seeded randomness.

import type { Random } from '../random.js'
import type { ExclusivePlan, Fault, Starter } from './plan.js'

const MANY_STARTERS = 8
const ONE_HOUR = 3_600
/** A holder whose heartbeat is overdue is killed after 5 s: a stop that ends about then meets the kill (ms). */
const ABOUT_THE_KILL = { min: 4_500, max: 5_200 }

export const makePlan = (type: Fault['type'], random: Random): ExclusivePlan => {
  const fault = makeFault(type, random)
  return {
    first: makeFirst(type, random),
    onUnconfirmed: type === 'rolling' ? 'resend' : random.pick(['resend', 'reject'] as const),
    every: random.int(4, 20),
    fanout: random.chance(0.3),
    at: random.int(0, 400),
    fault,
    isExclusive: true,
  }
}

const makeFirst = (type: Fault['type'], random: Random): Starter => {
  const serves = random.chance(0.5)
  // Without one the name of a supervisor that was killed is free after 10 s only.
  const isWithoutKernelLock = random.chance(0.15) && type !== 'primary-kill'
  // Its gaps are compared with bare connects: who may use no lock of the kernel looks again ten times a second.
  if (type === 'rolling') return { workers: 4, serves, isWithoutKernelLock: false }
  // Scripts have no primary that ends who is stopped: where one may be the first it is killed, or its clock jumps.
  const mayBeScript = type === 'stale' || type === 'clock'
  if (mayBeScript && random.chance(0.5)) return { workers: null, serves: false, isWithoutKernelLock }
  return { workers: random.int(2, 3), serves, isWithoutKernelLock }
}

const makeFault = (type: Fault['type'], random: Random): Fault => {
  switch (type) {
    case 'rolling':
      return { type, reloads: 1 }
    case 'kill':
      return { type, pauses: Array.from({ length: random.int(1, 2) }, () => random.int(0, 200)) }
    case 'stop': {
      const continueAfter = random.chance(0.4) ? null : random.int(ABOUT_THE_KILL.min, ABOUT_THE_KILL.max)
      return { type, continueAfter }
    }
    case 'block':
      return { type, ms: random.int(500, 8_000) }
    case 'primary-kill':
      return { type }
    case 'tree-stop':
      return {
        type,
        ms: random.int(300, 7_000),
        ending: random.pick(['continue', 'kill'] as const),
        waiter: makeStarter(random, { scripts: 0.5 }),
      }
    case 'stale':
      return {
        type,
        starters: Array.from({ length: MANY_STARTERS }, () => makeStarter(random, { scripts: 0.7 })),
        endings: Array.from({ length: random.int(0, 2) }, () => random.pick(['SIGTERM', 'SIGKILL'] as const)),
      }
    case 'clock':
      return {
        type,
        whose: random.pick(['holder', 'waiter'] as const),
        jumps: makeJumps(random),
        waiter: makeStarter(random, { scripts: 0.6 }),
      }
  }
}

const makeStarter = (random: Random, { scripts }: { scripts: number }): Starter => {
  const isScript = random.chance(scripts)
  return {
    workers: isScript ? null : random.int(1, 2),
    serves: !isScript && random.chance(0.5),
    isWithoutKernelLock: random.chance(0.3),
  }
}

/** Some are followed by enough time for whoever would take a live record for a stale one. */
const makeJumps = (random: Random): { pause: number; to: number }[] => {
  let now = 0
  return Array.from({ length: random.int(1, 3) }, () => {
    now = random.pick([-ONE_HOUR, 0, ONE_HOUR].filter((to) => to !== now))
    return { pause: random.chance(0.3) ? random.int(4_000, 7_000) : random.int(200, 1_500), to: now }
  })
}
