// What a peer is like, drawn for each attempt: how it answers the upgrade, pings, messages and Close frames, how fast it
// reads, and what lies between it and us.

import type { Random } from '../../campaign/random.js'

export type Upgrade =
  | { kind: 'accepts'; answerAfter: number; hookTakes: number | null; isHookFailing: boolean }
  | { kind: 'refuses'; answerAfter: number; status: number; retryAfter: number | null }
  | { kind: 'fails'; answerAfter: number }
  | { kind: 'closes at once'; answerAfter: number; hookTakes: number; code: number }
  | { kind: 'never answers' }

export type PongHabit = 'each' | 'twice' | 'latest' | 'never' | 'forged' | 'some'
export type AckHabit = 'each' | 'never' | 'some' | 'too early'
export type CloseHabit = 'answers' | 'holds the socket' | 'ignores'

export interface Temperament {
  upgrade: Upgrade
  /** ms until the attempt is on the wire. */
  prepareTakes: number
  /** ms from one end to the other. */
  latency: number
  /** Bytes that the kernels between us take before somebody has to read. */
  capacity: number
  /** ms until our process is told that the kernel took something. */
  flushTakes: number
  /** How many frames the process reads at once. */
  chunk: number
  pongs: PongHabit
  pongTakes: number
  acks: AckHabit
  ackTakes: number
  /** ms that the peer takes to read a frame. */
  readTakes: number
  closes: CloseHabit
  /** Whether a destroyed socket is gone at the end of the turn, or when the process looks again. */
  isGoneInTurn: boolean
  /** Whether what the kernel had taken is lost when the socket is destroyed. */
  losesLastWords: boolean
  /** How many pongs of earlier connections it sends again. */
  replays: number
}

export const HEALTHY: Temperament = {
  upgrade: { kind: 'accepts', answerAfter: 5, hookTakes: null, isHookFailing: false },
  prepareTakes: 1,
  latency: 5,
  capacity: Number.POSITIVE_INFINITY,
  flushTakes: 0,
  chunk: 16,
  pongs: 'each',
  pongTakes: 0,
  acks: 'each',
  ackTakes: 1,
  readTakes: 0,
  closes: 'answers',
  isGoneInTurn: true,
  losesLastWords: false,
  replays: 0,
}

/** What all peers of a schedule have in common: a server is not another program at each attempt. */
export interface ServerHabits {
  pongs: PongHabit | null
  acks: AckHabit | null
  isReliable: boolean
}

export const drawHabits = (random: Random): ServerHabits => ({
  pongs: random.weighted([
    [50, null],
    [30, 'each'],
    [15, 'never'],
    [5, 'latest'],
  ] as const),
  acks: random.weighted([
    [50, null],
    [50, 'each'],
  ] as const),
  isReliable: random.chance(0.4),
})

export const drawTemperament = (random: Random, { pongs, acks, isReliable }: ServerHabits): Temperament => ({
  upgrade: drawUpgrade(random, isReliable),
  prepareTakes: random.pick([0, 0, 1, 30]),
  latency: random.pick([0, 1, 5, 40, 200]),
  capacity: random.weighted([
    [6, Number.POSITIVE_INFINITY],
    [2, 300_000],
    [2, 20_000],
    [1, 500],
  ]),
  flushTakes: random.pick([0, 0, 0, 1, 20]),
  chunk: random.pick([1, 3, 40, 500]),
  pongs:
    pongs ??
    random.weighted<PongHabit>([
      [6, 'each'],
      [1, 'twice'],
      [2, 'latest'],
      [1, 'never'],
      [1, 'forged'],
      [1, 'some'],
    ]),
  pongTakes: random.weighted([
    [6, 0],
    [2, 30],
    [2, 400],
    [1, 1_500],
    [1, 6_000],
  ]),
  acks:
    acks ??
    random.weighted<AckHabit>([
      [3, 'each'],
      [1, 'never'],
      [2, 'some'],
      [1, 'too early'],
    ]),
  ackTakes: random.pick([0, 3, 100, 3_000]),
  readTakes: random.weighted([
    [7, 0],
    [2, 20],
    [1, 700],
  ]),
  closes: random.weighted<CloseHabit>([
    [5, 'answers'],
    [1, 'holds the socket'],
    [2, 'ignores'],
  ]),
  isGoneInTurn: random.chance(0.5),
  losesLastWords: random.chance(0.5),
  replays: random.weighted([
    [5, 0],
    [1, 3],
  ]),
})

const drawUpgrade = (random: Random, isReliable: boolean): Upgrade => {
  const answerAfter = random.pick([0, 2, 50, 300])
  const hookTakes = random.weighted([
    [6, null],
    [1, 0],
    [1, 60],
  ])
  const status = random.pick([301, 401, 403, 404, 429, 429, 500, 503, 503])
  return random.weighted<Upgrade>([
    [isReliable ? 60 : 8, { kind: 'accepts', answerAfter, hookTakes, isHookFailing: false }],
    [2, { kind: 'fails', answerAfter }],
    [2, { kind: 'refuses', answerAfter, status, retryAfter: random.pick([null, 1, 3, 900]) }],
    [1, { kind: 'never answers' }],
    [1, { kind: 'closes at once', answerAfter, hookTakes: 200, code: random.pick([1000, 1008, 1013, 4001]) }],
    [1, { kind: 'accepts', answerAfter, hookTakes: 30, isHookFailing: true }],
  ])
}
