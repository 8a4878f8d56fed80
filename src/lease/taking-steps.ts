// What goes into the taking of a record and what comes out of it: what was seen, what became of a step, the next step; the
// state in between, and its lifecycle. What follows from what is record-taking.ts.

import type { TransitionTable } from '../shared/state-machine.js'

/** What the folder holds of one number. */
export interface RecordEntry {
  n: number
  /** What changes with each refresh of n.lock; null: there is no such folder. */
  refreshed: number | null
  /** `none`: its maker has not written, or never will. */
  record: 'none' | 'owned' | 'released'
  /** Who made it, in any words that are the same each time; '' where it is not known. */
  owner: string
  life: 'alive' | 'dead' | 'unknown'
  /** A worker whose supervisor is gone: it should have ended with it. */
  isOrphan: boolean
}

export interface TakingRules {
  /** What `owner` of an entry is when it is ours. */
  self: string
  /** ms from one look at the record to the next. */
  poll: number
  /** The same while its owner is known and the end of the kernel lock will wake us. */
  calmPoll: number
  /** ms between two looks at a record that might be stale. */
  lookEvery: number
  /** So many looks in a row without a refresh, and an owner whose life cannot be judged is gone. */
  staleLooks: number
  /** So many, and an orphan is stopped or blocked. */
  orphanLooks: number
  /** ms from the making within which the taking must be over, or others may think us gone; null: others cannot. */
  fence: number | null
}

export type TakingPhase = keyof typeof TAKING

/** Seen unchanged so many times in a row; `of` is what was seen. */
export interface Looks {
  n: number
  of: string
  count: number
  last: number
}

export interface TakingState {
  phase: TakingPhase
  /** The number that is being made or is ours. */
  own: number | null
  /** When its making began. */
  began: number
  looks: Looks[]
  /** What was told of whom we wait for; undefined would not survive JSON. */
  told: string | null
  isAbandoned: boolean
}

export type TakingEvent =
  | { type: 'started' }
  /** `mayTake`: whether the kernel lock is ours, or there is none. `now` is monotonic, `seconds` since 1970. */
  | { type: 'scanned'; entries: readonly RecordEntry[]; mayTake: boolean; now: number; seconds: number }
  | { type: 'made'; began: number }
  | { type: 'exists' }
  | { type: 'written' }
  | { type: 'withdrawn' }
  | { type: 'waited' }
  /** Given up from outside, or a step failed: whatever is ours is withdrawn. */
  | { type: 'abandoned' }

/** Of the effects of an event the last one is the next step, and its outcome the next event. */
export type TakingEffect =
  | { type: 'scan' }
  | { type: 'make'; n: number }
  | { type: 'write'; n: number }
  /** n.json, if there is one, to n.released; then n.lock. */
  | { type: 'withdraw'; n: number }
  /** `isRandom`: between nothing and twice that long, so that those who got in each other's way do not again. */
  | { type: 'wait'; ms: number; isRandom: boolean }
  /** Ends the owner of that number, if it is still that very process. */
  | { type: 'kill'; n: number }
  /** Whom we wait for; null: not known. */
  | { type: 'standsBy'; n: number | null }
  | { type: 'held'; n: number }
  | { type: 'ended' }

/** The lifecycle of a taking. */
export const TAKING = {
  idle: ['looking', 'ended'],
  looking: ['waiting', 'making', 'ended'],
  waiting: ['looking', 'ended'],
  making: ['verifying', 'looking', 'ended'],
  verifying: ['writing', 'withdrawing'],
  writing: ['confirming', 'withdrawing'],
  confirming: ['held', 'withdrawing'],
  withdrawing: ['waiting', 'ended'],
  held: [],
  ended: [],
} as const satisfies TransitionTable<string>
