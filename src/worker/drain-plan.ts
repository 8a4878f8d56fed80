// The order of a drain, as a pure decision: what is seen goes in, what is to be done comes out.
// It touches no socket, timer or clock; drain.ts does, and docs/drain.md tells the same to users.

import { type TransitionTable, transition } from '../shared/state-machine.js'

/**
 * `answering`: the listeners are closed, requests get their answers, then idle connections are ended.
 * `hooks`: the application's onShutdown hooks run. `lingering`: upgraded sockets and event streams end (only where no
 * stop listener of the application could be what ends them). `clients`: upstream connections are closed.
 * `farewell`: the application's own stop listeners run, and end what they end. `leaving`: nothing is waited for.
 */
export type DrainPhase = 'answering' | 'hooks' | 'lingering' | 'clients' | 'farewell' | 'leaving'

export const DRAIN_LIFECYCLE: TransitionTable<DrainPhase> = {
  answering: ['hooks'],
  hooks: ['lingering', 'clients'],
  lingering: ['clients'],
  clients: ['farewell', 'leaving'],
  farewell: ['leaving'],
  leaving: [],
}

export type DrainEffect =
  | 'endIdle'
  | 'runHooks'
  | 'endByForce'
  | 'closeClients'
  | 'callAppListeners'
  | 'leave'

/** Moments on the monotonic clock, in ms. */
export interface DrainTimes {
  /** How long no connection may have been used before idle ones are ended: a duration, not a moment. */
  readonly lull: number
  /** Work handed to waitUntil() holds back the hooks until then. */
  readonly backgroundBy: number
  /** Requests hold back the hooks until then. */
  readonly answerBy: number
  /** What is still open then is ended by force. */
  readonly deadline: number
  /** Clients are given up. */
  readonly end: number
}

/** Idle keep-alive connections get this long to be used once more, answered with `Connection: close`. */
const LULL = 500
/** What is kept of the budget for ending things by force and for Close handshakes: at most this, or this share. */
const MARGIN = { ms: 1_000, share: 0.4 }
/** The primary follows up with SIGTERM this long before the budget is over: by then we are gone. */
const LAST_WORDS = { ms: 500, share: 0.2 }

export const drainTimes = (now: number, budget: number): DrainTimes => {
  const room = budget - Math.min(MARGIN.ms, budget * MARGIN.share)
  return {
    lull: Math.min(LULL, room * 0.3),
    backgroundBy: now + room * 0.4,
    answerBy: now + room * 0.8,
    deadline: now + room,
    end: now + budget - Math.min(LAST_WORDS.ms, budget * LAST_WORDS.share),
  }
}

/** The earlier of each: an order that comes later can shorten a drain, never lengthen it. */
export const earlier = (a: DrainTimes, b: DrainTimes): DrainTimes => ({
  lull: Math.min(a.lull, b.lull),
  backgroundBy: Math.min(a.backgroundBy, b.backgroundBy),
  answerBy: Math.min(a.answerBy, b.answerBy),
  deadline: Math.min(a.deadline, b.deadline),
  end: Math.min(a.end, b.end),
})

export interface DrainView {
  now: number
  times: DrainTimes
  /** Whether all sockets that the primary had handed over before have arrived (and were refused). */
  barrierPassed: boolean
  requests: number
  /** Promises given to waitUntil() that have not settled. */
  background: number
  longLived: number
  idle: number
  lastActivityAt: number
  /** Until then a connection that has not been used yet is waited for; 0 without one. */
  freshUntil: number
  /** Whether the application listens to SIGTERM or SIGINT itself. */
  appListens: boolean
  hooksDone: boolean
  clientsDone: boolean
  farewellDone: boolean
}

export class DrainPlan {
  #phase: DrainPhase = 'answering'

  get phase(): DrainPhase {
    return this.#phase
  }

  /** Goes on as far as the view allows; the effects are to be carried out in order. */
  advance(view: DrainView): DrainEffect[] {
    const effects: DrainEffect[] = []
    for (let step = next(this.#phase, view); step !== null; step = next(this.#phase, view)) {
      this.#phase = transition('drain', DRAIN_LIFECYCLE, this.#phase, step.to, 'its turn')
      effects.push(...step.effects)
      // What was asked for just now cannot be done yet: the view is from before.
      if (step.effects.length > 0) break
    }
    return effects
  }
}

/** The next moment at which time alone may change the answer, or null. */
export const nextMoment = (phase: DrainPhase, view: DrainView): number | null => {
  const { times } = view
  const moments: Record<DrainPhase, readonly number[]> = {
    answering: [view.lastActivityAt + times.lull, view.freshUntil, times.backgroundBy, times.answerBy],
    hooks: [],
    lingering: [times.deadline],
    clients: [],
    farewell: [times.deadline],
    leaving: [],
  }
  const ahead = moments[phase].filter((moment) => moment > view.now)
  return ahead.length === 0 ? null : Math.min(...ahead)
}

interface Step {
  to: DrainPhase
  effects: DrainEffect[]
}

const next = (phase: DrainPhase, view: DrainView): Step | null => {
  const isLate = view.now >= view.times.deadline
  const isQuiet = view.requests === 0 && view.longLived === 0
  switch (phase) {
    case 'answering':
      return hasAnswered(view) ? { to: 'hooks', effects: ['endIdle', 'runHooks'] } : null
    case 'hooks':
      if (!view.hooksDone) return null
      return view.appListens ? { to: 'clients', effects: ['closeClients'] } : { to: 'lingering', effects: [] }
    case 'lingering':
      if (isLate) return { to: 'clients', effects: ['endByForce', 'closeClients'] }
      return isQuiet && view.background === 0 ? { to: 'clients', effects: ['closeClients'] } : null
    case 'clients':
      if (!view.clientsDone) return null
      return view.appListens && !isLate
        ? { to: 'farewell', effects: ['callAppListeners'] }
        : { to: 'leaving', effects: ['endByForce', 'leave'] }
    case 'farewell':
      return isLate || (view.farewellDone && isQuiet && view.background === 0)
        ? { to: 'leaving', effects: ['endByForce', 'leave'] }
        : null
    case 'leaving':
      return null
  }
}

const hasAnswered = (view: DrainView): boolean => {
  const { now, times } = view
  if (now >= times.answerBy) return true
  if (!view.barrierPassed || view.requests > 0) return false
  if (view.background > 0 && now < times.backgroundBy) return false
  return view.idle === 0 || now >= Math.max(view.lastActivityAt + times.lull, view.freshUntil)
}
