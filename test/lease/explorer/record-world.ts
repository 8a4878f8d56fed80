// Processes that want one identity on a machine, each alone: the real decisions of src/lease/record-taking.ts, a folder,
// a kernel lock, and an upstream that counts. Each call to the kernel is a step of its own, so that every order of the
// calls of different processes is played; a look at the folder is two, its listing and the reading of what was listed.
//
// With `time` a tick is a second: the holder refreshes each, others look each, and nobody who runs is late.

import { RecordTaking } from '../../../src/lease/record-taking.js'
import type { RecordEntry, TakingEvent, TakingState } from '../../../src/lease/taking-steps.js'
import type { Model, Step } from './explore.js'

import { copyState, key, normalise } from './record-sameness.js'
import {
  type Doing,
  entryOf,
  FENCE,
  HOLDING,
  initialState,
  listing,
  MOST_BLOCKED,
  NAMES,
  NOBODY,
  of,
  own,
  type Process,
  type RecordBound,
  type RecordState,
  SOON_STALE,
  STALE_LOOKS,
  TICK,
  tick,
  touch,
} from './record-state.js'

export const recordWorld = (bound: RecordBound): Model<RecordState> => ({
  initial: [initialState(bound)],
  key,
  steps: (state) => new Steps(bound, state).all(),
  violation: ({ broken, processes }) =>
    broken ??
    (processes.filter(({ isOpen }) => isOpen).length > 1 ? 'the upstream counts two open connections' : null),
  isWell: ({ processes }) =>
    processes.every(({ life, doing }) => life !== 'runs' || doing === 'done') ||
    processes.some(({ life }) => life === 'stopped' || life === 'blocked'),
})

class Steps {
  readonly #bound: RecordBound
  readonly #state: RecordState
  readonly #steps: Step<RecordState>[] = []

  constructor(bound: RecordBound, state: RecordState) {
    this.#bound = bound
    this.#state = state
  }

  all(): Step<RecordState>[] {
    let isBusy = false
    for (const [index, process] of this.#state.processes.entries()) {
      const name = NAMES[index] ?? ''
      if (process.life === 'runs') isBusy = this.#run(index, name, process) || isBusy
      if (process.life !== 'dead') this.#faults(index, name, process)
    }
    const { time } = this.#bound
    const isOverlong = this.#state.processes.some(
      ({ life, blockedFor }) => life === 'blocked' && blockedFor >= MOST_BLOCKED,
    )
    if (time && !isBusy && !isOverlong) this.#take('a second passes', true, tick)
    return this.#steps
  }

  #take(name: string, isFair: boolean, act: (state: RecordState) => void): void {
    const next = copyState(this.#state)
    act(next)
    normalise(next, this.#bound.time)
    this.#steps.push({ name, next, isFair })
  }

  #faults(index: number, name: string, process: Process): void {
    const { faults, left } = this.#state
    if (process.life === 'stopped' || process.life === 'blocked')
      this.#take(`${name} goes on`, process.life === 'blocked', (state) => {
        const own = of(state, index)
        own.life = 'runs'
        own.blockedFor = 0
      })
    if (left === 0 || process.doing === 'done') return
    const fault = (
      kind: keyof RecordState['faults'],
      what: string,
      act: (own: Process, state: RecordState) => void,
    ): void => {
      if (faults[kind] === 0) return
      this.#take(`${name} ${what}`, false, (state) => {
        state.faults[kind]--
        state.left--
        act(of(state, index), state)
      })
    }
    fault('kill', 'is killed', (own, state) => {
      own.life = 'dead'
      own.isOpen = false
      if (state.kernel === index) state.kernel = null
    })
    if (process.life !== 'runs') return
    fault('stop', 'is stopped', (own) => {
      own.life = 'stopped'
    })
    fault('block', 'is blocked', (own) => {
      own.life = 'blocked'
    })
    if (process.refreshing !== null && !process.isSlow)
      fault('slow', 'waits for the answer of a slow disk', (own) => {
        own.isSlow = true
      })
    if (process.isRefreshDue && process.refreshing === null)
      fault('slow', 'begins a refresh that a slow disk holds up', (own, state) => {
        own.isRefreshDue = false
        own.refreshing = state.now
        own.isSlow = true
        own.isHeldUp = true
      })
  }

  /** @returns whether it has something to do before time goes on. */
  #run(index: number, name: string, process: Process): boolean {
    const { time, mutation } = this.#bound
    const { now } = this.#state
    const does = (what: string, act: (own: Process, state: RecordState) => void, isFair = true): true => {
      this.#take(`${name} ${what}`, isFair, (state) => act(of(state, index), state))
      return true
    }
    if (time && HOLDING.has(process.doing)) {
      const isFenced =
        !this.#bound.hasKernelLock && mutation !== 'no fence' && now - process.refreshedAt >= FENCE
      if (isFenced && process.isOpen)
        return does('fences itself and destroys its connection', (own) => {
          own.isOpen = false
          own.doing = 'release mark'
        })
      if (process.isRefreshDue && process.refreshing === null && !isFenced)
        return does('refreshes its record', (own, state) => {
          own.isRefreshDue = false
          own.refreshing = now
          touch(state, index, own)
        })
      if (process.refreshing !== null) {
        does('has refreshed its record', (own, state) => {
          if (own.isHeldUp) touch(state, index, own)
          own.isHeldUp = false
          own.refreshedAt = mutation === 'fence from the end of the renewal' ? now : (own.refreshing ?? now)
          own.refreshing = null
          own.isSlow = false
        })
        if (!process.isSlow) return true
      }
    }
    return this.#do(index, process, does)
  }

  #do(
    index: number,
    process: Process,
    does: (what: string, act: (own: Process, state: RecordState) => void, isFair?: boolean) => true,
  ): boolean {
    const { hasKernelLock, mutation, time } = this.#bound
    const { now } = this.#state
    switch (process.doing) {
      case 'lock':
        return does('tries the kernel lock', (own, state) => {
          if (hasKernelLock && state.kernel === null) state.kernel = index
          own.mayTake = !hasKernelLock || state.kernel === index
          this.#tell(own, { type: own.next }, state)
        })
      case 'list':
        return does('lists the folder', (own, state) => {
          own.listed = listing(state)
          own.doing = 'read'
          if (this.#bound.looksAtOnce) this.#read(own, state)
        })
      case 'read':
        return does('reads what it listed', (own, state) => this.#read(own, state))
      case 'make':
        return does(`makes ${process.taking.own}.lock`, (own, state) => this.#make(index, own, state))
      case 'write':
        return does(`writes ${process.taking.own}.json`, (own, state) => {
          const entry = entryOf(state, own.taking.own ?? 0)
          entry.json = index
          entry.isReleased = false
          this.#tell(own, { type: 'written' }, state)
        })
      case 'mark':
        return does(`marks ${own(process)} as released`, (own, state) => {
          this.#mark(index, own.taking.own ?? 0, state)
          own.doing = 'remove'
        })
      case 'remove':
        return does(`removes ${own(process)}.lock`, (own, state) => {
          this.#remove(index, own.taking.own ?? 0, state)
          this.#tell(own, { type: 'withdrawn' }, state)
        })
      case 'wait':
        if (time && now < process.waitsUntil) return false
        return does('looks again', (own, state) => {
          own.next = 'waited'
          own.doing = 'lock'
          if (!time) own.clock += TICK
          // Without a kernel lock nothing of others comes in between.
          if (!hasKernelLock) this.#tell(own, { type: 'waited' }, state)
        })
      case 'clear': {
        const below = this.#state.entries.find(({ n }) => n < process.number)
        if (below === undefined) return does('dials', (own, state) => this.#dialled(own, state))
        return does(`clears ${below.n} away`, (_own, state) => {
          state.entries = state.entries.filter(({ n }) => n !== below.n)
        })
      }
      case 'dial':
        return false
      case 'open':
        does(
          mutation === 'released before it is closed' ? 'gives it back' : 'sends its Close frame',
          (own) => {
            own.doing = mutation === 'released before it is closed' ? 'release mark' : 'closing'
          },
        )
        return false
      case 'closing':
        return does('sees its connection closed', (own) => {
          own.isOpen = false
          own.doing = 'release mark'
        })
      case 'release mark':
        return does(`marks ${process.number} as released`, (own, state) => {
          this.#mark(index, own.number, state)
          own.doing = 'release remove'
        })
      case 'release remove':
        return does(`removes ${process.number}.lock`, (own, state) => {
          this.#remove(index, own.number, state)
          own.doing = 'unlock'
        })
      case 'unlock':
        return does('gives the kernel lock back', (own, state) => {
          if (state.kernel === index) state.kernel = null
          own.isOpen = false
          own.doing = 'done'
        })
      case 'done':
        return false
    }
  }

  /** Carries out, or sets down as the next thing to do, what the taking wants. */
  #tell(own: Process, event: TakingEvent, state: RecordState): void {
    const { hasKernelLock, time } = this.#bound
    const taking = new RecordTaking(
      {
        ...{ self: String(state.processes.indexOf(own)), poll: TICK, calmPoll: TICK, lookEvery: TICK },
        ...{
          staleLooks: this.#staleLooks,
          orphanLooks: STALE_LOOKS,
          fence: hasKernelLock || !time ? null : FENCE,
        },
      },
      own.taking,
    )
    const last = taking.handle(event).at(-1)
    switch (last?.type) {
      case 'scan':
        if (own.taking.phase === 'verifying' && this.#bound.mutation === 'no look after the making')
          return this.#skip(own, 'writing', 'write')
        if (own.taking.phase === 'confirming' && this.#bound.mutation === 'no look after the writing') {
          own.taking.phase = 'held'
          return this.#held(own, state)
        }
        own.doing = 'list'
        return
      case 'make':
      case 'write':
        own.doing = last.type
        return
      case 'withdraw':
        own.doing = 'mark'
        return
      case 'wait':
        own.doing = 'wait'
        own.waitsUntil = this.#nowOf(own, state) + last.ms
        return
      case 'held':
        return this.#held(own, state)
    }
  }

  get #staleLooks(): number {
    return this.#bound.time ? STALE_LOOKS : SOON_STALE
  }

  #nowOf({ clock }: Process, { now }: RecordState): number {
    return this.#bound.time ? now : clock
  }

  #skip(own: Process, phase: TakingState['phase'], doing: Doing): void {
    own.taking.phase = phase
    own.doing = doing
  }

  #held(own: Process, state: RecordState): void {
    const epoch = this.#bound.mutation === 'epoch from memory' ? 1 : (own.taking.own ?? 0)
    if (epoch <= state.lastHeld) state.broken = `epoch ${epoch} is granted after ${state.lastHeld}`
    state.lastHeld = Math.max(state.lastHeld, epoch)
    own.number = own.taking.own ?? 0
    own.refreshedAt = own.taking.began
    own.doing = 'clear'
  }

  #dialled(own: Process, state: RecordState): void {
    own.isOpen = true
    own.doing = 'open'
    void state
  }

  #read(own: Process, state: RecordState): void {
    const { canJudge } = this.#bound
    const entries: RecordEntry[] = []
    for (const { n, hasLock, json } of own.listed) {
      const entry = state.entries.find((one) => one.n === n)
      const isGone =
        (hasLock && entry?.lockBy == null) || (json === 'owned' && (entry?.json == null || entry.isReleased))
      if (isGone || entry === undefined) {
        own.doing = 'list'
        own.listed = []
        return
      }
      const owner = json === 'owned' ? entry.json : null
      const isDead = owner === NOBODY || (owner !== null && state.processes[owner]?.life === 'dead')
      entries.push({
        n,
        refreshed: hasLock ? entry.refreshed : null,
        record: json,
        owner: owner === null ? '' : String(owner),
        life: owner === null || !canJudge ? 'unknown' : isDead ? 'dead' : 'alive',
        isOrphan: false,
      })
    }
    own.listed = []
    this.#tell(
      own,
      { type: 'scanned', entries, mayTake: own.mayTake, now: this.#nowOf(own, state), seconds: 1 },
      state,
    )
  }

  #make(index: number, own: Process, state: RecordState): void {
    const n = own.taking.own ?? 0
    if (this.#bound.mutation === 'takeover by rmdir') {
      // In the place of the one before: removed, and made again.
      const before = state.entries.find((entry) => entry.n === n - 1)
      if (before !== undefined && before.lockBy !== null) {
        before.lockBy = null
        before.json = null
        return
      }
      if (before !== undefined) {
        before.lockBy = index
        own.taking.own = n - 1
        state.lastHeld = Math.min(state.lastHeld, n - 2)
        return this.#tell(own, { type: 'made', began: this.#nowOf(own, state) }, state)
      }
    }
    const known = state.entries.find((entry) => entry.n === n)
    if (known?.lockBy != null) return this.#tell(own, { type: 'exists' }, state)
    const entry = entryOf(state, n)
    entry.lockBy = index
    this.#tell(own, { type: 'made', began: this.#nowOf(own, state) }, state)
  }

  #mark(index: number, n: number, state: RecordState): void {
    const entry = state.entries.find((one) => one.n === n)
    if (entry === undefined || entry.json === null) return
    if (entry.json !== index && entry === state.entries.at(-1))
      state.broken ??= `${NAMES[index]} marks a record in force that is not its own`
    entry.json = null
    entry.isReleased = true
  }

  #remove(index: number, n: number, state: RecordState): void {
    const target =
      this.#bound.mutation === 'removal without asking whose it is'
        ? state.entries.at(-1)
        : state.entries.find((one) => one.n === n)
    if (target === undefined || target.lockBy === null) return
    // A number below the one in force may come twice; nobody goes by it.
    if (target.lockBy !== index && target === state.entries.at(-1))
      state.broken ??= `${NAMES[index]} removes a record in force that is not its own`
    target.lockBy = null
  }
}
