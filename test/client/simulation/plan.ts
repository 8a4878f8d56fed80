// What a schedule is: the options of the client, what listeners do, and steps, drawn from a seed. Every step says all
// that it needs, so that one can be left out without the others becoming something else.

import type { ReceiptLevel } from '../../../src/client/outbox.js'
import { Random } from '../../campaign/random.js'
import { drawHabits, type ServerHabits } from './temperament.js'

export interface SendStep {
  do: 'send'
  bytes: number
  level: ReceiptLevel | null
  timeout: number | null
  /** ms from now; below 0: it has expired already. */
  expiresIn: number | null
  isAbortable: boolean
  /** How the peer's application is recognized to have done it. */
  acknowledged: 'by id' | 'by test' | null
  whenFull: 'reject' | 'wait' | null
}

export type UserStep =
  | SendStep
  | { do: 'connect'; isAbortable: boolean }
  | { do: 'abort'; which: number }
  | { do: 'consume'; pace: 'eager' | 'slow' | 'never'; leavesAfter: number | null }
  | { do: 'drain'; timeout: number }
  | { do: 'suspend'; timeout: number }
  | { do: 'resume' }
  | { do: 'close' }
  | { do: 'terminate' }
  | { do: 'shutDown'; timeout: number }

export type PeerStep =
  | { do: 'peer falls silent' | 'peer stalls' | 'peer reads on' | 'peer resets' | 'peer ends' }
  | { do: 'peer says'; count: number; isBig: boolean }
  | { do: 'peer closes'; code: number }
  | { do: 'peer forges a pong'; isReplay: boolean }

export type Step =
  | { do: 'time'; ms: number }
  | { do: 'sleep'; ms: number }
  | PeerStep
  /** All in one turn of the event loop. */
  | { do: 'acts'; acts: UserStep[] }

export const LISTENED = ['opened', 'message', 'lost', 'waiting', 'stateChanged', 'refused', 'closed'] as const

export interface ListenerPlan {
  event: (typeof LISTENED)[number]
  /** From inside the listener. */
  act: UserStep
  /** How often it does that. */
  times: number
}

/** Options of the client as plain numbers. */
export interface PlanOptions {
  connectTimeout: number
  closeTimeout: number
  drainTimeout: number
  backoff: { min: number; max: number }
  stableAfter: number
  heartbeatInterval: number
  heartbeatTimeout: number
  receiptTimeout: number
  receipts: 'auto' | 'require' | 'off'
  onUnconfirmed: 'reject' | 'resend'
  whenFull: 'reject' | 'wait'
  maxPending: { count: number; bytes: number }
  supersededCodes: number[]
}

export interface Plan {
  seed: number
  options: PlanOptions
  server: ServerHabits
  listeners: ListenerPlan[]
  steps: Step[]
  /** What the world is like when all steps are done. */
  finale: 'healthy' | 'silent' | 'closed at once'
}

export const SUPERSEDED = 4001

export const drawPlan = (seed: number): Plan => {
  const random = new Random(seed)
  const options = drawOptions(random)
  const server = drawHabits(random)
  const listeners = random.chance(0.3)
    ? Array.from({ length: random.int(1, 3) }, () => drawListener(random))
    : []
  // Most lives are long; one in three ends in the middle of everything.
  const steps = Array.from({ length: random.int(5, 40) }, (_, index) => drawStep(random, index))
  if (random.chance(0.35)) {
    const end = drawEnd(random)
    steps.splice(random.int(0, steps.length), 0, { do: 'acts', acts: [end] })
  }
  const finale = random.weighted([
    [4, 'healthy'],
    [4, 'silent'],
    [1, 'closed at once'],
  ] as const)
  return { seed, options, server, listeners, steps, finale }
}

const drawOptions = (random: Random): PlanOptions => ({
  connectTimeout: random.pick([200, 1_000, 4_000]),
  closeTimeout: random.pick([100, 1_500]),
  drainTimeout: random.pick([50, 1_000, 5_000]),
  backoff: { min: random.pick([20, 200]), max: random.pick([200, 2_000]) },
  stableAfter: random.pick([50, 1_000]),
  heartbeatInterval: random.weighted([
    [1, 0],
    [4, 700],
    [2, 3_000],
  ]),
  heartbeatTimeout: random.pick([300, 1_000]),
  receiptTimeout: random.pick([500, 2_000, 8_000]),
  receipts: random.weighted([
    [6, 'auto'],
    [2, 'require'],
    [1, 'off'],
  ] as const),
  onUnconfirmed: random.pick(['reject', 'resend'] as const),
  whenFull: random.weighted([
    [2, 'reject'],
    [1, 'wait'],
  ] as const),
  maxPending: {
    count: random.weighted([
      [1, 1],
      [2, 3],
      [4, 1_000],
    ]),
    bytes: random.weighted([
      [1, 60],
      [1, 200_000],
      [4, 16 * 1024 * 1024],
    ]),
  },
  supersededCodes: random.chance(0.3) ? [SUPERSEDED] : [],
})

const drawStep = (random: Random, index: number): Step =>
  random.weighted<() => Step>([
    [30, () => ({ do: 'time', ms: drawTime(random) })],
    [2, () => ({ do: 'sleep', ms: random.pick([100, 900, 1_100, 5_000, 40_000]) })],
    [14, () => drawPeerStep(random)],
    [54, () => ({ do: 'acts', acts: drawActs(random, index) })],
  ])()

const drawTime = (random: Random): number =>
  random.weighted<() => number>([
    [2, () => 0],
    [3, () => random.int(1, 10)],
    [4, () => random.int(10, 200)],
    [4, () => random.int(200, 1_500)],
    [2, () => random.int(1_500, 9_000)],
  ])()

const drawPeerStep = (random: Random): PeerStep =>
  random.weighted<() => PeerStep>([
    [2, () => ({ do: 'peer falls silent' })],
    [1, () => ({ do: 'peer stalls' })],
    [2, () => ({ do: 'peer reads on' })],
    [2, () => ({ do: 'peer resets' })],
    [1, () => ({ do: 'peer ends' })],
    [4, () => ({ do: 'peer says', count: random.pick([1, 2, 30, 90]), isBig: random.chance(0.2) })],
    [1, () => ({ do: 'peer closes', code: random.pick([1000, 1001, 1008, 1012, SUPERSEDED]) })],
    [2, () => ({ do: 'peer forges a pong', isReplay: random.chance(0.6) })],
  ])()

const drawActs = (random: Random, index: number): UserStep[] =>
  Array.from({ length: random.pick([1, 1, 1, 2, 5]) }, () => drawAct(random, index))

const drawAct = (random: Random, index: number): UserStep =>
  random.weighted<() => UserStep>([
    [30, () => drawSend(random)],
    [index < 3 ? 12 : 4, () => ({ do: 'connect', isAbortable: random.chance(0.4) })],
    [5, () => ({ do: 'abort', which: random.int(0, 7) })],
    [2, () => drawConsumer(random)],
    [2, () => ({ do: 'drain', timeout: random.pick([1, 100, 3_000]) })],
    [1, () => ({ do: 'suspend', timeout: random.pick([1, 100, 2_000]) })],
    [3, () => ({ do: 'resume' })],
  ])()

const drawConsumer = (random: Random): UserStep => ({
  do: 'consume',
  pace: random.pick(['eager', 'slow', 'never'] as const),
  leavesAfter: random.pick([null, null, 1, 40]),
})

const drawSend = (random: Random): SendStep => ({
  do: 'send',
  bytes: random.weighted([
    [8, 12],
    [2, 5_000],
    [1, 100_000],
    [1, 400_000],
  ]),
  level: random.weighted<ReceiptLevel | null>([
    [6, null],
    [2, 'written'],
    [2, 'received'],
    [3, 'processed'],
  ]),
  timeout: random.weighted([
    [6, null],
    [1, 5],
    [2, 500],
    [1, 4_000],
  ]),
  expiresIn: random.weighted([
    [8, null],
    [1, -5],
    [1, 60],
    [1, 2_500],
  ]),
  isAbortable: random.chance(0.2),
  acknowledged: random.pick(['by id', 'by id', 'by test'] as const),
  whenFull: random.weighted([
    [6, null],
    [1, 'reject'],
    [2, 'wait'],
  ] as const),
})

const drawEnd = (random: Random): UserStep =>
  random.weighted<() => UserStep>([
    [4, () => ({ do: 'close' })],
    [1, () => ({ do: 'terminate' })],
    [2, () => ({ do: 'shutDown', timeout: random.pick([1, 300, 4_000]) })],
  ])()

const drawListener = (random: Random): ListenerPlan => ({
  event: random.pick(LISTENED),
  act: random.chance(0.15) ? drawEnd(random) : drawAct(random, 0),
  times: random.pick([1, 1, 3]),
})
