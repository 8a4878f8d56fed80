// A folder of records in memory and some takers on it, stepped one file operation at a time in an order that a seed
// fixes: who is overtaken, killed or stalled between any two of its steps. Judges nothing: record-schedules.test.ts.

import { RecordTaking } from '../../src/lease/record-taking.js'
import type { RecordEntry, TakingEffect, TakingEvent, TakingRules } from '../../src/lease/taking-steps.js'
import type { Random } from '../../src/shared/clock.js'

export interface ModelOptions {
  takers: number
  random: Random
  /** Whether takers can tell whether another one lives; if not, all they have is looks and fences. */
  isLifeKnown: boolean
  /** Whether the owner before all of them was killed, and left its record. */
  isStaleAtStart: boolean
}

interface Files {
  lockedBy: number | null
  refreshed: number
  ownedBy: number | null
  isReleased: boolean
}

interface Taker {
  /** Never used again: who comes after a killed one is another process. */
  id: number
  taking: RecordTaking
  next: TakingEffect
  /** The number that its lock folder has, until it is given back. */
  locked: number | null
  refreshed: number
  wakeAt: number
  stalledUntil: number
  life: 'living' | 'gone'
  holds: number | null
}

const FENCE = 2_400
const FIRST_SECOND = 1_000_000
/** No more looks than the fence needs, so that one too few would be seen. */
const RULES = { poll: 100, calmPoll: 1_000, lookEvery: 500, staleLooks: 5, orphanLooks: 10 }

export class RecordModel {
  readonly story: string[] = []
  /** Every number that was granted, in order. */
  readonly epochs: number[] = []
  readonly #options: ModelOptions
  readonly #files = new Map<number, Files>()
  /** Those of now. */
  readonly #takers: Taker[]
  readonly #all = new Map<number, Taker>()
  #place = 0
  #now = 0

  constructor(options: ModelOptions) {
    this.#options = options
    this.#takers = Array.from({ length: options.takers }, () => this.#newTaker())
    if (options.isStaleAtStart)
      this.#files.set(FIRST_SECOND, { lockedBy: -1, refreshed: -1, ownedBy: -1, isReleased: false })
  }

  /** Who holds now and could use what it holds: not one that a fence stops. */
  holders(): number[] {
    return this.#takers.filter((taker) => taker.holds !== null && !this.#isFenced(taker)).map(({ id }) => id)
  }

  /** One taker goes on for a while, as a process does, and the others stand where they are: that is where races are. */
  step(): void {
    if (this.#random() < 0.3) this.#place = Math.floor(this.#random() * this.#takers.length)
    const taker = this.#takers[this.#place]
    const chance = this.#random()
    if (taker === undefined || chance < 0.1) return this.#passTime()
    if (taker.life === 'gone') this.#takers[this.#place] = this.#newTaker()
    else if (chance < 0.107) this.#kill(taker)
    else if (chance < (isInTheMiddle(taker) ? 0.2 : 0.115)) this.#stall(taker)
    else if (this.#now >= taker.stalledUntil) this.#act(taker)
  }

  #newTaker(): Taker {
    const id = this.#all.size
    const rules: TakingRules = { ...RULES, self: String(id), fence: this.#options.isLifeKnown ? null : FENCE }
    const taking = new RecordTaking(rules)
    const [next = { type: 'ended' }] = taking.handle({ type: 'started' })
    const taker: Taker = {
      id,
      taking,
      next,
      locked: null,
      refreshed: 0,
      wakeAt: 0,
      stalledUntil: 0,
      life: 'living',
      holds: null,
    }
    this.#all.set(id, taker)
    return taker
  }

  #passTime(): void {
    this.#now += Math.floor(this.#random() * 600)
    for (const taker of this.#takers) this.#refresh(taker)
  }

  #refresh(taker: Taker): void {
    const isRunning = taker.life === 'living' && this.#now >= taker.stalledUntil
    if (!isRunning || taker.locked === null || this.#now - taker.refreshed < 1_000) return
    const files = this.#files.get(taker.locked)
    if (files?.lockedBy !== taker.id || this.#isFenced(taker)) {
      if (taker.holds !== null) this.#letGo(taker, 'loses')
      return
    }
    files.refreshed = this.#now
    taker.refreshed = this.#now
  }

  #isFenced(taker: Taker): boolean {
    return !this.#options.isLifeKnown && this.#now - taker.refreshed >= FENCE
  }

  #kill(taker: Taker): void {
    this.#tell(taker, 'is killed')
    taker.life = 'gone'
    taker.holds = null
  }

  #stall(taker: Taker): void {
    const ms = Math.floor(this.#random() * 6_000)
    this.#tell(taker, `stalls for ${ms}`)
    taker.stalledUntil = this.#now + ms
  }

  #act(taker: Taker): void {
    if (taker.holds !== null) {
      if (this.#random() < 0.05) this.#letGo(taker, 'is done with')
      return
    }
    const { next } = taker
    if (next.type === 'wait' && this.#now < taker.wakeAt) return
    const event = this.#perform(taker, next)
    if (event === null) return
    const effects = taker.taking.handle(event)
    taker.next = effects.at(-1) ?? { type: 'ended' }
    if (taker.next.type === 'wait') taker.wakeAt = this.#now + taker.next.ms
    if (taker.next.type === 'held') this.#grant(taker, taker.next.n)
  }

  #perform(taker: Taker, effect: TakingEffect): TakingEvent | null {
    this.#tell(taker, `${effect.type} ${'n' in effect ? effect.n : ''}`)
    switch (effect.type) {
      case 'scan':
        return this.#scanned(taker)
      case 'make':
        return this.#make(taker, effect.n)
      case 'write': {
        const files = this.#filesOf(effect.n)
        files.ownedBy = taker.id
        return { type: 'written' }
      }
      case 'withdraw':
        this.#giveBack(taker, effect.n)
        return { type: 'withdrawn' }
      case 'wait':
        return { type: 'waited' }
      default:
        return null
    }
  }

  #scanned(taker: Taker): TakingEvent {
    const entries = [...this.#files]
      .sort(([a], [b]) => a - b)
      .map(([n, files]) => this.#entry(taker, n, files))
    const seconds = FIRST_SECOND + Math.floor(this.#now / 1_000)
    return { type: 'scanned', entries, mayTake: true, now: this.#now, seconds }
  }

  #entry(taker: Taker, n: number, { lockedBy, refreshed, ownedBy, isReleased }: Files): RecordEntry {
    const record = isReleased ? 'released' : ownedBy === null ? 'none' : 'owned'
    return {
      n,
      refreshed: lockedBy === null ? null : refreshed,
      record,
      owner: ownedBy === null ? '' : String(ownedBy),
      life: this.#lifeOf(taker, ownedBy),
      isOrphan: false,
    }
  }

  #lifeOf(taker: Taker, ownedBy: number | null): RecordEntry['life'] {
    if (ownedBy === null) return 'unknown'
    if (!this.#options.isLifeKnown && ownedBy !== taker.id) return 'unknown'
    return this.#all.get(ownedBy)?.life === 'living' ? 'alive' : 'dead'
  }

  #make(taker: Taker, n: number): TakingEvent {
    const files = this.#filesOf(n)
    if (files.lockedBy !== null) return { type: 'exists' }
    files.lockedBy = taker.id
    files.refreshed = this.#now
    taker.locked = n
    taker.refreshed = this.#now
    return { type: 'made', began: this.#now }
  }

  #grant(taker: Taker, n: number): void {
    this.#tell(taker, `HOLDS ${n}`)
    taker.holds = n
    this.epochs.push(n)
    if (this.#random() < 0.2) return
    for (const lower of [...this.#files.keys()]) if (lower < n) this.#files.delete(lower)
  }

  #letGo(taker: Taker, how: string): void {
    this.#tell(taker, `${how} ${taker.holds}`)
    if (taker.holds !== null) this.#giveBack(taker, taker.holds)
    taker.life = 'gone'
  }

  #giveBack(taker: Taker, n: number): void {
    const files = this.#files.get(n)
    taker.locked = null
    taker.holds = null
    if (files === undefined) return
    if (files.ownedBy === taker.id) files.isReleased = true
    if (files.lockedBy === taker.id) files.lockedBy = null
    if (files.lockedBy === null && files.ownedBy === null) this.#files.delete(n)
  }

  #filesOf(n: number): Files {
    const files = this.#files.get(n) ?? { lockedBy: null, refreshed: 0, ownedBy: null, isReleased: false }
    this.#files.set(n, files)
    return files
  }

  #random(): number {
    return this.#options.random()
  }

  #tell(taker: Taker, what: string): void {
    this.story.push(`${this.#now} ${taker.id} ${what}`)
  }
}

const isInTheMiddle = ({ taking }: Taker): boolean =>
  ['making', 'verifying', 'writing', 'confirming'].includes(taking.state.phase)
