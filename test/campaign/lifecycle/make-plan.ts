// Makes up a round: pure, all from the seeded randomness. The weights say what is worth meeting often.

import type { Random } from '../random.js'
import { GARBAGE } from './garbage.js'
import type { Action, AppPlan, Ending, Moment, ReleaseKind, ReleasePlan, RoundPlan } from './plan.js'
import { STOP_TIMEOUT } from './releases.js'

const MOST_WORKERS = 3
/** Actions begin within this time. */
const SPAN = 1_600
/** Well below the 5 s after which a command gives up a supervisor that does not answer. */
const LONGEST_PAUSE = 700
/** A worker that is stopped for so long while it should drain is killed. */
const TOO_LONG = STOP_TIMEOUT + 1_500

export const makePlan = (random: Random): RoundPlan => {
  const serves = random.chance(0.5)
  // Some rounds do nothing unkind to a process: in those every outcome is known exactly.
  const isKind = random.chance(0.35)
  const hasLoad = serves && isKind && random.chance(0.8)
  const actions = Array.from({ length: random.int(3, 8) }, () => ({
    moment: makeMoment(random),
    action: makeAction(random, { serves, isKind, hasLoad }),
  }))
  return {
    hasLoad,
    first: makeRelease(random, serves, 'good'),
    begins: random.pick(['starting', 'ready'] as const),
    actions,
    endsAt: random.chance(0.6) ? 'rest' : random.int(0, SPAN),
    ending: makeEnding(random),
  }
}

const makeRelease = (random: Random, serves: boolean, kind: ReleaseKind): ReleasePlan => ({
  kind,
  workers: random.int(1, MOST_WORKERS),
  app: makeApp(random, serves),
})

const makeApp = (random: Random, serves: boolean): AppPlan => ({
  clients: random.chance(0.7) ? 1 : 2,
  serves,
  bootMs: random.chance(0.3) ? random.int(50, 600) : 0,
  hookMs: random.chance(0.2) ? random.int(10, 300) : 0,
  ownSigterm: random.pick(['none', 'none', 'close', 'exit'] as const),
})

const makeMoment = (random: Random): Moment => {
  const after = random.weighted<Moment['after']>([
    [6, 'begin'],
    [1, 'starting'],
    [1, 'ready'],
    [1, 'draining'],
    [1, 'gone'],
  ])
  return { after, ms: after === 'begin' ? random.int(0, SPAN) : random.int(0, 60) }
}

interface Circumstances {
  serves: boolean
  isKind: boolean
  hasLoad: boolean
}

const makeAction = (random: Random, { serves, isKind, hasLoad }: Circumstances): Action => {
  const type = random.weighted<Action['type']>([
    [30, 'reload'],
    [6, 'scale'],
    [3, 'scaleSignal'],
    [hasLoad ? 0 : 5, 'restart'], // it has a gap
    [8, 'status'],
    [5, 'logs'],
    [8, 'garbage'],
    [4, 'signalPrimary'],
    [isKind ? 0 : 12, 'signalWorker'],
    [isKind ? 0 : 10, 'killWorker'],
    [isKind ? 0 : 8, 'pauseWorker'],
    [isKind ? 0 : 6, 'pausePrimary'],
  ])
  switch (type) {
    case 'reload':
      return makeReload(random, serves)
    case 'scale':
      return { type, workers: random.int(1, MOST_WORKERS) }
    case 'scaleSignal':
      return { type, signal: random.pick(['SIGTTIN', 'SIGTTOU'] as const) }
    case 'garbage':
      return { type, variant: random.int(0, GARBAGE.length - 1) }
    case 'signalPrimary':
      return { type, signal: 'SIGUSR1' }
    case 'signalWorker':
      return {
        type,
        signal: random.pick(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const),
        nth: random.int(0, 5),
      }
    case 'killWorker':
      return { type, nth: random.int(0, 5) }
    case 'pauseWorker':
      return {
        type,
        nth: random.int(0, 5),
        ms: random.chance(0.1) ? TOO_LONG : random.int(20, LONGEST_PAUSE),
      }
    case 'pausePrimary':
      return { type, ms: random.int(20, LONGEST_PAUSE) }
    default:
      return { type }
  }
}

const makeReload = (random: Random, serves: boolean): Action => {
  const kind = random.weighted<ReleaseKind>([
    [10, 'good'],
    [1, 'neverReady'],
    [2, 'throwsAtBoot'],
    [3, 'exitsAfterReady'],
    [2, 'syntaxError'],
  ])
  const via = random.weighted([
    [6, 'cli'],
    [1, 'SIGUSR2'],
    [1, 'SIGHUP'],
    [1, 'abandoned'],
  ] as const)
  return { type: 'reload', release: makeRelease(random, serves, kind), via }
}

const makeEnding = (random: Random): Ending => {
  const type = random.weighted<Ending['type']>([
    [4, 'stop'],
    [2, 'stopNow'],
    [2, 'signal'],
    [3, 'groupSignal'],
    [2, 'doubleSignal'],
    [4, 'kill'],
  ])
  switch (type) {
    case 'signal':
    case 'groupSignal':
      return { type, signal: random.pick(['SIGTERM', 'SIGINT'] as const) }
    case 'doubleSignal':
      return { type, gap: random.int(0, 400) }
    case 'kill':
      return {
        type,
        termBefore: random.chance(0.3) ? random.int(0, 400) : null,
        pausedWorker: random.chance(0.3) ? random.int(0, 5) : null,
        nextAfter: random.chance(0.5) ? 0 : random.int(1, 600),
      }
    default:
      return { type }
  }
}
