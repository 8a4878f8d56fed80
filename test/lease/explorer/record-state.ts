// A world of processes that take an identity on a machine, as plain data: what there is, and how it begins. What can
// happen in it is record-world.ts; which states are the same is record-sameness.ts.

import type { TakingState } from '../../../src/lease/taking-steps.js'

/** What is taken out of the protocol, to see that it was needed. */
export type RecordMutation =
  | 'takeover by rmdir'
  | 'no look after the making'
  | 'no look after the writing'
  | 'released before it is closed'
  | 'epoch from memory'
  | 'fence from the end of the renewal'
  | 'no fence'
  | 'removal without asking whose it is'

export interface RecordBound {
  processes: number
  hasKernelLock: boolean
  /** Whether the life of an owner can be judged: not across pid namespaces. Needs `time`, or nobody ever takes over. */
  canJudge: boolean
  time: boolean
  /** A look at the folder is one step: fewer states, fewer orders. */
  looksAtOnce?: boolean
  /** What is in the folder at start. */
  start: 'nothing' | 'stale record' | 'stale lock without record'
  faults: { kill: number; stop: number; block: number; slow: number }
  /** Together, of whatever kind. */
  mostFaults: number
  mutation?: RecordMutation
}
/** Scaled from 20 looks of 500 ms and a fence of 6 s: one tick is a second. */
export const STALE_LOOKS = 6
/** Where everybody is as slow as he likes, one look is as good as many. */
export const SOON_STALE = 1
export const FENCE = 4_000
export const TICK = 1_000
/** Ticks for which a loop may be blocked; more is what the fence does not cover. */
export const MOST_BLOCKED = 1

export interface Entry {
  n: number
  /** Who made the lock folder; null: there is none. */
  lockBy: number | null
  refreshed: number
  json: number | null
  isReleased: boolean
}

export type Doing =
  | 'lock'
  | 'list'
  | 'read'
  | 'make'
  | 'write'
  | 'mark'
  | 'remove'
  | 'wait'
  | 'clear'
  | 'dial'
  | 'open'
  | 'closing'
  | 'release mark'
  | 'release remove'
  | 'unlock'
  | 'done'

export interface Process {
  life: 'runs' | 'stopped' | 'blocked' | 'dead'
  blockedFor: number
  doing: Doing
  taking: TakingState
  /** What is told to the taking when the next look is due. */
  next: 'started' | 'waited'
  mayTake: boolean
  listed: { n: number; hasLock: boolean; json: 'none' | 'owned' | 'released' }[]
  number: number
  /** When the last refresh that worked had begun; when one that is under way did. */
  refreshedAt: number
  refreshing: number | null
  isRefreshDue: boolean
  isSlow: boolean
  /** The disk has not even done it yet. */
  isHeldUp: boolean
  waitsUntil: number
  /** Without `time` everybody has a clock of his own: each may be as slow as he likes. */
  clock: number
  isOpen: boolean
}

export interface RecordState {
  now: number
  entries: Entry[]
  kernel: number | null
  lastHeld: number
  processes: Process[]
  faults: { kill: number; stop: number; block: number; slow: number }
  left: number
  broken: string | null
}

export const NOBODY = 9

export const initialState = ({ processes, start, faults, mostFaults }: RecordBound): RecordState => ({
  now: 0,
  entries:
    start === 'nothing'
      ? []
      : [
          {
            n: 1,
            lockBy: NOBODY,
            refreshed: 0,
            json: start === 'stale record' ? NOBODY : null,
            isReleased: false,
          },
        ],
  kernel: null,
  lastHeld: start === 'nothing' ? 0 : 1,
  processes: Array.from({ length: processes }, () => ({
    ...{ life: 'runs', blockedFor: 0, doing: 'lock', next: 'started', mayTake: false, listed: [], number: 0 },
    ...{
      refreshedAt: 0,
      refreshing: null,
      isRefreshDue: false,
      isSlow: false,
      isHeldUp: false,
      waitsUntil: 0,
      clock: 0,
      isOpen: false,
    },
    taking: { phase: 'idle', own: null, began: 0, looks: [], told: null, isAbandoned: false },
  })),
  faults,
  left: mostFaults,
  broken: null,
})

export const own = ({ taking }: Process): number => taking.own ?? 0

export const NAMES = ['A', 'B', 'C']
export const HOLDING: ReadonlySet<Doing> = new Set(['clear', 'dial', 'open', 'closing'])

export const of = (state: RecordState, index: number): Process => {
  const process = state.processes[index]
  if (process === undefined) throw new Error(`there is no process ${index}`)
  return process
}

/** Without what is neither read nor gone by: released numbers below the last that somebody wrote. */
export const listing = ({ entries }: RecordState): Process['listed'] => {
  const written = entries.findLastIndex(({ json, isReleased }) => json !== null || isReleased)
  return entries.flatMap(({ n, lockBy, json, isReleased }, index) => {
    if (index < written && lockBy === null && isReleased) return []
    return [{ n, hasLock: lockBy !== null, json: isReleased ? 'released' : json !== null ? 'owned' : 'none' }]
  })
}

export const entryOf = (state: RecordState, n: number): Entry => {
  const known = state.entries.find((entry) => entry.n === n)
  if (known !== undefined) return known
  const entry: Entry = { n, lockBy: null, refreshed: 0, json: null, isReleased: false }
  state.entries.push(entry)
  state.entries.sort((a, b) => a.n - b.n)
  return entry
}

export const touch = (state: RecordState, index: number, { number }: Process): void => {
  const entry = state.entries.find(({ n }) => n === number)
  if (entry?.lockBy === index) entry.refreshed = (entry.refreshed + 1) % 8
}

export const tick = (state: RecordState): void => {
  state.now += TICK
  for (const process of state.processes) {
    if (HOLDING.has(process.doing) && process.life !== 'dead') process.isRefreshDue = true
    if (process.life === 'blocked') process.blockedFor++
  }
}
