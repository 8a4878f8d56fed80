// How a process takes the record of an identity, decided without doing anything: what was seen in the record's folder and
// what became of each step in, the next step out. Files and clocks are lease-record.ts.
//
// A record is numbered, and a number is used once: n.lock is a folder that only one process can make, n.json says who
// made it, and n.released is what n.json is renamed to. To take over is to make n + 1; nothing stale is ever removed to
// make room for something live. Making is checked twice by looking again: before the owner is written, so that nobody
// goes on who came too late, and after it, so that of two who could not see each other at least one sees the other.
//
// The number is the lease epoch, the fencing token: it only grows. The state is plain data, and can be copied.

import { transition } from '../shared/state-machine.js'
import {
  type RecordEntry,
  TAKING,
  type TakingEffect,
  type TakingEvent,
  type TakingPhase,
  type TakingRules,
  type TakingState,
} from './taking-steps.js'

/** A look that comes later than this proves nothing: who was stopped that long could not see a refresh. */
const LATE = 1_000
/** By so much (ms) a timer may ring too soon. */
const EARLY = 1
/** ms on average; a taking that nobody disturbs takes less than one. */
const COLLISION_PAUSE = 10

export class RecordTaking {
  readonly state: TakingState
  readonly #rules: TakingRules

  constructor(rules: TakingRules, state: TakingState = initialState()) {
    this.#rules = rules
    this.state = state
  }

  handle(event: TakingEvent): TakingEffect[] {
    const { state } = this
    switch (event.type) {
      case 'started':
      case 'waited':
        return this.#look(event.type)
      case 'scanned':
        return this.#seen(event)
      case 'made':
        this.#move('verifying', 'made')
        state.began = event.began
        return [{ type: 'scan' }]
      case 'exists':
        state.own = null
        return this.#look('another one made it')
      case 'written':
        this.#move('confirming', 'written')
        return [{ type: 'scan' }]
      case 'withdrawn':
        return this.#withdrawn()
      case 'abandoned':
        return this.#abandon()
    }
  }

  #seen(event: TakingEvent & { type: 'scanned' }): TakingEffect[] {
    const { state } = this
    this.#observe(event.entries, event.now)
    const relevant = withoutSuperseded(event.entries)
    const isOwnGood = (record: 'none' | 'owned'): boolean => this.#isOwnGood(event.entries, relevant, record)
    switch (state.phase) {
      case 'verifying':
        if (!isOwnGood('none')) return this.#withdraw('another one was there first')
        this.#move('writing', 'nobody else is there')
        return [{ type: 'write', n: state.own ?? 0 }]
      case 'confirming':
        if (!isOwnGood('owned')) return this.#withdraw('another one came in between')
        if (this.#isTooLate(event.now)) return this.#withdraw('it took so long that others may think us gone')
        this.#move('held', 'still nobody else')
        return [{ type: 'held', n: state.own ?? 0 }]
      default:
        return this.#decide(relevant, event)
    }
  }

  #decide(relevant: readonly RecordEntry[], event: TakingEvent & { type: 'scanned' }): TakingEffect[] {
    const inTheWay = relevant.findLast((entry) => !this.#isFree(entry))
    if (inTheWay === undefined && event.mayTake) {
      const highest = relevant.at(-1)?.n
      const n = highest === undefined ? event.seconds : highest + 1
      this.state.own = n
      this.#move('making', 'free')
      return [{ type: 'make', n }]
    }
    const effects: TakingEffect[] = []
    const owner = inTheWay?.record === 'owned' ? inTheWay : null
    const told = owner === null ? '' : `${owner.n} ${owner.owner}`
    if (told !== this.state.told) {
      this.state.told = told
      effects.push({ type: 'standsBy', n: owner?.n ?? null })
    }
    if (owner !== null && this.#isStuckOrphan(owner)) {
      this.#forget(owner.n)
      effects.push({ type: 'kill', n: owner.n })
    }
    effects.push(this.#wait(this.#pause(inTheWay, event.mayTake), false, 'not free'))
    return effects
  }

  /** Counts the looks at what could be stale, and forgets the others. */
  #observe(entries: readonly RecordEntry[], now: number): void {
    const { lookEvery } = this.#rules
    this.state.looks = entries.flatMap((entry) => {
      if (!isWatched(entry)) return []
      const of = `${entry.refreshed} ${entry.record} ${entry.owner}`
      const before = this.state.looks.find(({ n }) => n === entry.n)
      const gap = now - (before?.last ?? 0)
      if (before === undefined || before.of !== of || gap > lookEvery + LATE) {
        return [{ n: entry.n, of, count: 0, last: now }]
      }
      return gap < lookEvery - EARLY ? [before] : [{ ...before, count: before.count + 1, last: now }]
    })
  }

  #isFree(entry: RecordEntry): boolean {
    if (entry.record === 'released' || entry.life === 'dead') return true
    return entry.life === 'unknown' && this.#looksAt(entry.n) >= this.#rules.staleLooks
  }

  #isStuckOrphan(entry: RecordEntry): boolean {
    return entry.isOrphan && entry.life === 'alive' && this.#looksAt(entry.n) >= this.#rules.orphanLooks
  }

  /** Ours is the highest and as far as it should be, and all that is below it is free. */
  #isOwnGood(
    entries: readonly RecordEntry[],
    relevant: readonly RecordEntry[],
    record: 'none' | 'owned',
  ): boolean {
    const own = entries.at(-1)
    if (own?.n !== this.state.own || own.refreshed === null || own.record !== record) return false
    if (record === 'owned' && own.owner !== this.#rules.self) return false
    return relevant.every((entry) => entry === own || this.#isFree(entry))
  }

  #isTooLate(now: number): boolean {
    return this.#rules.fence !== null && now - this.state.began > this.#rules.fence
  }

  #looksAt(number: number): number {
    return this.state.looks.find(({ n }) => n === number)?.count ?? 0
  }

  #forget(number: number): void {
    this.state.looks = this.state.looks.filter(({ n }) => n !== number)
  }

  #pause(inTheWay: RecordEntry | undefined, mayTake: boolean): number {
    const { poll, calmPoll, lookEvery } = this.#rules
    const usual = inTheWay?.record === 'owned' && !mayTake ? calmPoll : poll
    return inTheWay !== undefined && isWatched(inTheWay) ? Math.min(usual, lookEvery) : usual
  }

  #look(reason: string): TakingEffect[] {
    this.#move('looking', reason)
    return [{ type: 'scan' }]
  }

  #wait(ms: number, isRandom: boolean, reason: string): TakingEffect {
    this.#move('waiting', reason)
    return { type: 'wait', ms, isRandom }
  }

  #withdraw(reason: string): TakingEffect[] {
    this.#move('withdrawing', reason)
    return [{ type: 'withdraw', n: this.state.own ?? 0 }]
  }

  #withdrawn(): TakingEffect[] {
    this.state.own = null
    if (this.state.isAbandoned) return this.#end('abandoned')
    return [this.#wait(COLLISION_PAUSE, true, 'withdrawn')]
  }

  #abandon(): TakingEffect[] {
    const { state } = this
    state.isAbandoned = true
    switch (state.phase) {
      case 'verifying':
      case 'writing':
      case 'confirming':
        return this.#withdraw('abandoned')
      case 'withdrawing':
      case 'held':
      case 'ended':
        return []
      default:
        return this.#end('abandoned')
    }
  }

  #end(reason: string): TakingEffect[] {
    this.#move('ended', reason)
    return [{ type: 'ended' }]
  }

  #move(to: TakingPhase, reason: string): void {
    this.state.phase = transition<TakingPhase>('the taking of a record', TAKING, this.state.phase, to, reason)
  }
}

const initialState = (): TakingState => ({
  phase: 'idle',
  own: null,
  began: 0,
  looks: [],
  told: null,
  isAbandoned: false,
})

/**
 * Without what lies below a number whose owner was written: that one saw everything below it free, and whoever is still
 * busy down there will see the higher number before it holds anything.
 */
const withoutSuperseded = (entries: readonly RecordEntry[]): readonly RecordEntry[] =>
  entries.slice(
    Math.max(
      entries.findLastIndex(({ record }) => record !== 'none'),
      0,
    ),
  )

const isWatched = ({ record, life, isOrphan }: RecordEntry): boolean =>
  record !== 'released' && (life === 'unknown' || (isOrphan && life === 'alive'))
