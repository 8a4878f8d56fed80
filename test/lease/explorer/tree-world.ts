// Workers of one primary that want one identity: the real arbiter and the real claims, with a channel in each direction,
// the wire to the upstream, and processes that are killed, stopped, cut off and found out late. There is no machine stage
// in it, so that what is found to hold holds by the arbiter alone.
//
// There is no clock either: a deadline passes whenever somebody who does not run could be waited for, a fence whenever
// the primary could have been silent. That is more than can happen with clocks, never less.

import type { ArbiterEffect, ArbiterEvent } from '../../../src/lease/arbiter.js'
import { type ArbiterState, emptyArbiter } from '../../../src/lease/arbiter-state.js'
import { type ClaimEvent, type ClaimState, newClaimState } from '../../../src/lease/claim.js'
import { type Cores, REAL_CORES } from '../simulation/cores.js'
import type { Model, Step } from './explore.js'

export type TreeMutation =
  | 'granted when the channel breaks'
  | 'released before it is closed'
  | 'exit is not awaited'

export type TreeFault = 'kill' | 'stop' | 'cut' | 'late' | 'silent' | 'refuse'

export interface TreeBound {
  /** Generation of each worker. */
  generations: number[]
  /** What is done, each once at any moment. `try` is followed by `keep` or `give back`. */
  acts: (
    | 'try the last'
    | 'hand over to the last'
    | 'hand over'
    | 'the first leaves'
    | 'the first withdraws'
  )[]
  faults: TreeFault[]
  mostFaults: number
  mutation?: TreeMutation
  cores?: Cores
}

type ToPrimary =
  | { type: 'claimed' }
  | { type: 'released'; grant: number; isSuperseded: boolean }
  | { type: 'opened' | 'failed'; grant: number }
  | { type: 'withdrawn' }

type ToWorker = { type: 'granted'; grant: number } | { type: 'revoked'; grant: number } | { type: 'leave' }

interface WorkerState {
  life: 'runs' | 'stopped' | 'dead'
  /** Its end has come to the primary. */
  isGone: boolean
  isKilled: boolean
  isCut: boolean
  isLeaving: boolean
  claim: ClaimState
  machine: 'idle' | 'taking' | 'freeing'
  mayDial: boolean
  /** What it knows of its connection; `came` and `went`: there is news that it has not read. */
  connection: 'none' | 'dialling' | 'came' | 'open' | 'closing' | 'went'
  fence: 'fine' | 'passed' | 'late'
  toWorker: ToWorker[]
  toPrimary: ToPrimary[]
}

export interface TreeState {
  arbiter: ArbiterState
  workers: WorkerState[]
  /** On their way to the upstream, in order. */
  wire: { worker: number; what: 'dial' | 'close' | 'reset' }[]
  counted: boolean[]
  acts: string[]
  left: number
  request: 'none' | 'waits' | 'answered'
  trial: 'none' | 'waits' | 'answered'
  broken: string | null
}

const LEASE = 'client feed'
const NAMES = ['A', 'B', 'C']

export const treeWorld = (bound: TreeBound): Model<TreeState> => ({
  initial: [initialState(bound)],
  key: (state) => JSON.stringify(state),
  steps: (state) => new Steps(bound, state).all(),
  violation: ({ broken, counted }) =>
    broken ?? (counted.filter(Boolean).length > 1 ? 'the upstream counts two open connections' : null),
  isWell,
})

const initialState = ({ generations, acts, mostFaults, cores = REAL_CORES }: TreeBound): TreeState => {
  const arbiter = new cores.LeaseArbiter(emptyArbiter())
  for (const [claimant, generation] of generations.entries())
    arbiter.handle({ type: 'joined', claimant, generation }, 0)
  return {
    arbiter: arbiter.state,
    workers: generations.map(() => ({
      ...{ life: 'runs', isGone: false, isKilled: false, isCut: false, isLeaving: false, machine: 'idle' },
      ...{ mayDial: false, connection: 'none', fence: 'fine', toWorker: [] },
      toPrimary: [{ type: 'claimed' }],
      claim: newClaimState(),
    })),
    ...{ wire: [], counted: generations.map(() => false), acts, left: mostFaults },
    ...{ request: 'none', trial: 'none', broken: null },
  }
}

/** Nobody waits for an answer, nothing is under way, and it is open once if anybody is there who may have it. */
const isWell = ({ arbiter, workers, counted, request, trial }: TreeState): boolean => {
  const lease = arbiter.leases[LEASE]
  if (request === 'waits' || trial === 'waits') return false
  if (lease !== undefined && lease.move !== null && lease.move.phase !== 'watched') return false
  const isWanted = workers.some(
    ({ life, isCut, isLeaving, claim }, index) =>
      life === 'runs' &&
      !isCut &&
      !isLeaving &&
      claim.phase !== 'ended' &&
      arbiter.claimants[index]?.hasFailed !== true,
  )
  return !isWanted || (counted.filter(Boolean).length === 1 && lease?.holder?.phase === 'open')
}

class Steps {
  readonly #bound: TreeBound
  readonly #cores: Cores
  readonly #state: TreeState
  readonly #steps: Step<TreeState>[] = []

  constructor(bound: TreeBound, state: TreeState) {
    this.#bound = bound
    this.#cores = bound.cores ?? REAL_CORES
    this.#state = state
  }

  all(): Step<TreeState>[] {
    const { workers, wire } = this.#state
    for (const [index, worker] of workers.entries()) {
      if (worker.life === 'runs') this.#runs(index, worker)
      this.#outside(index, worker)
      this.#faults(index, worker)
    }
    const [first] = wire
    if (first !== undefined) this.#wire(first)
    this.#time()
    this.#acts()
    return this.#steps
  }

  #take(name: string, act: (state: TreeState) => void, isFair = true): void {
    const next = copyState(this.#state)
    try {
      act(next)
    } catch (error) {
      next.broken = String(error)
    }
    normalise(next)
    this.#steps.push({ name, next, isFair })
  }

  // --- What a worker does by itself -----------------------------------------------------------------------------

  #runs(index: number, worker: WorkerState): void {
    const name = NAMES[index] ?? ''
    const does = (what: string, act: (own: WorkerState, state: TreeState) => void): void =>
      this.#take(`${name} ${what}`, (state) => act(workerOf(state, index), state))
    const [message] = worker.toWorker
    if (message !== undefined)
      does(`reads ${message.type}`, (own, state) => {
        own.toWorker.shift()
        if (message.type === 'leave') this.#end(index, own, state)
        else if (message.type === 'granted') this.#claim(index, own, message, state)
        else this.#claim(index, own, { ...message, why: '', budget: 1 }, state)
      })
    if (worker.machine === 'taking')
      does('has it on the machine', (own, state) => {
        own.machine = 'idle'
        this.#claim(index, own, { type: 'machineHeld', epoch: 1 }, state)
      })
    if (worker.machine === 'freeing')
      does('has given it back on the machine', (own, state) => {
        own.machine = 'idle'
        this.#claim(index, own, { type: 'machineFree' }, state)
      })
    if (worker.mayDial && worker.connection === 'none')
      does('dials', (own, state) => {
        if (own.claim.phase !== 'held') state.broken ??= `${name} dials without the lease`
        own.connection = 'dialling'
        state.wire.push({ worker: index, what: 'dial' })
      })
    if (worker.connection === 'came')
      does('sees its connection open', (own) => {
        own.connection = 'open'
        if (own.claim.grant !== null) send(own, { type: 'opened', grant: own.claim.grant })
      })
    if (worker.connection === 'went')
      does('sees its connection closed', (own, state) => {
        own.connection = 'none'
        if (!own.mayDial) this.#gone(index, own, state)
        else if (own.claim.grant !== null) send(own, { type: 'failed', grant: own.claim.grant })
      })
    if (worker.connection === 'closing')
      does('destroys its connection, as its budget is over', (own, state) => {
        this.#destroy(index, own, state)
        this.#gone(index, own, state)
      })
    if (worker.fence === 'passed' && worker.claim.phase === 'held')
      does('finds its fence passed', (own, state) =>
        this.#claim(index, own, { type: 'fencePassed', isLate: false }, state),
      )
    if (worker.fence === 'late' && (worker.claim.phase === 'held' || worker.connection !== 'none'))
      does('finds its fence long passed', (own, state) =>
        this.#claim(index, own, { type: 'fencePassed', isLate: true }, state),
      )
    if (worker.fence !== 'fine' && !worker.isCut && worker.claim.phase !== 'held')
      does('is answered by the primary again', (own, state) => {
        own.fence = 'fine'
        this.#claim(index, own, { type: 'fenceMoved' }, state)
      })
  }

  #claim(index: number, own: WorkerState, event: ClaimEvent, state: TreeState): void {
    const core = new this.#cores.LeaseClaimCore(own.claim)
    for (const effect of core.handle(event, own.fence !== 'fine')) {
      switch (effect.type) {
        case 'takeMachine':
          own.machine = 'taking'
          break
        case 'freeMachine':
          own.machine = 'freeing'
          break
        case 'tellReleased':
          send(own, { type: 'released', grant: effect.grant, isSuperseded: effect.isSuperseded })
          break
        case 'tellWithdrawn':
          send(own, { type: 'withdrawn' })
          break
        case 'mayUse':
          own.mayDial = true
          break
        case 'closeWithin':
          own.mayDial = false
          if (this.#bound.mutation === 'released before it is closed') {
            this.#claim(index, own, { type: 'letGo', isSuperseded: false }, state)
          }
          this.#close(index, own, state)
          break
        case 'destroy':
          own.mayDial = false
          this.#destroy(index, own, state)
          this.#gone(index, own, state)
      }
    }
  }

  #end(index: number, own: WorkerState, state: TreeState): void {
    own.mayDial = false
    own.isLeaving = true
    this.#close(index, own, state)
  }

  #close(index: number, own: WorkerState, state: TreeState): void {
    if (own.connection === 'open') {
      own.connection = 'closing'
      state.wire.push({ worker: index, what: 'close' })
    } else if (own.connection !== 'closing' && own.connection !== 'went') {
      this.#destroy(index, own, state)
      this.#gone(index, own, state)
    }
  }

  #destroy(index: number, own: WorkerState, state: TreeState): void {
    if (own.connection !== 'none' && own.connection !== 'went')
      state.wire.push({ worker: index, what: 'reset' })
    own.connection = 'none'
  }

  /** Nothing is open any more. */
  #gone(index: number, own: WorkerState, state: TreeState): void {
    this.#claim(index, own, own.isLeaving ? { type: 'end' } : { type: 'letGo', isSuperseded: false }, state)
  }

  // --- What happens to it ---------------------------------------------------------------------------------------

  #outside(index: number, worker: WorkerState): void {
    const name = NAMES[index] ?? ''
    const [message] = worker.toPrimary
    if (message !== undefined)
      this.#take(`the primary reads ${message.type} of ${name}`, (state) => {
        workerOf(state, index).toPrimary.shift()
        this.#arbiter(toEvent(index, message), state)
      })
    if (worker.isKilled && worker.life !== 'dead')
      this.#take(`SIGKILL ends ${name}`, (state) => die(index, state))
    if (worker.life === 'dead' && !worker.isGone)
      this.#take(`the primary sees the end of ${name}`, (state) => {
        const own = workerOf(state, index)
        own.isGone = true
        own.toPrimary = []
        this.#arbiter({ type: 'exited', claimant: index }, state)
      })
  }

  #faults(index: number, worker: WorkerState): void {
    const name = NAMES[index] ?? ''
    if (worker.life === 'stopped')
      for (const fence of ['fine', 'late'] as const)
        this.#take(
          `${name} goes on, ${fence === 'fine' ? 'in time' : 'late'}`,
          (state) => {
            const own = workerOf(state, index)
            own.life = 'runs'
            if (fence === 'late') own.fence = 'late'
          },
          false,
        )
    if (this.#state.left === 0 || worker.life === 'dead') return
    const fault = (
      kind: TreeFault,
      what: string,
      act: (own: WorkerState, state: TreeState) => void,
    ): void => {
      if (!this.#bound.faults.includes(kind)) return
      this.#take(
        `${name} ${what}`,
        (state) => {
          state.left--
          act(workerOf(state, index), state)
        },
        false,
      )
    }
    fault('kill', 'is killed', (_own, state) => die(index, state))
    if (worker.life === 'runs')
      fault('stop', 'is stopped', (own) => {
        own.life = 'stopped'
      })
    if (!worker.isCut)
      fault('cut', 'loses its channel', (own, state) => {
        own.isCut = true
        own.toWorker = []
        own.toPrimary = []
        own.fence = 'passed'
        if (this.#bound.mutation === 'granted when the channel breaks')
          this.#arbiter({ type: 'exited', claimant: index }, state)
      })
    if (worker.fence === 'fine' && worker.claim.phase !== 'waiting')
      fault('silent', 'is not answered in time', (own) => {
        own.fence = 'passed'
      })
    if (worker.connection === 'open')
      fault('refuse', 'loses its connection', (own, state) => {
        own.connection = 'went'
        state.counted[index] = false
      })
  }

  #wire({ worker, what }: TreeState['wire'][number]): void {
    const name = NAMES[worker] ?? ''
    this.#take(`the ${what} of ${name} arrives`, (state) => {
      state.wire.shift()
      const own = workerOf(state, worker)
      state.counted[worker] = what === 'dial'
      // Where a later dial is on its way, this one was given up.
      const isLast = state.wire.every((one) => one.worker !== worker || one.what !== 'dial')
      if (what === 'dial' && isLast && own.connection === 'dialling') own.connection = 'came'
      if (what === 'close' && own.connection === 'closing') own.connection = 'went'
    })
  }

  // --- The primary ----------------------------------------------------------------------------------------------

  #arbiter(event: ArbiterEvent, state: TreeState): void {
    const arbiter = new this.#cores.LeaseArbiter(state.arbiter)
    const { lastGrant } = state.arbiter
    for (const effect of arbiter.handle(event, 0)) this.#effect(effect, lastGrant, state)
    state.arbiter = arbiter.state
  }

  #effect(effect: ArbiterEffect, lastGrant: number, state: TreeState): void {
    switch (effect.type) {
      case 'grant': {
        if (effect.grant <= lastGrant) state.broken ??= `grant ${effect.grant} comes after ${lastGrant}`
        this.#judgeGrant(effect.claimant, state)
        return tell(workerOf(state, effect.claimant), { type: 'granted', grant: effect.grant })
      }
      case 'revoke':
        return tell(workerOf(state, effect.claimant), { type: 'revoked', grant: effect.grant })
      case 'kill':
        workerOf(state, effect.claimant).isKilled = true
        if (this.#bound.mutation === 'exit is not awaited') {
          workerOf(state, effect.claimant).isGone = true
          this.#arbiter({ type: 'exited', claimant: effect.claimant }, state)
        }
        return
      case 'handedOver':
        if (state.request !== 'waits') state.broken ??= 'a handover is answered twice'
        state.request = 'answered'
        return
      case 'trying':
        if (state.trial === 'answered') state.broken ??= 'a trial begins after its verdict'
        state.trial = 'waits'
        return
      case 'tried':
        state.trial = 'answered'
    }
  }

  #judgeGrant(claimant: number, state: TreeState): void {
    for (const [index, { life, claim, connection }] of state.workers.entries()) {
      const isOver = claim.phase === 'waiting' || claim.phase === 'ended'
      if (life !== 'dead' && index !== claimant && (!isOver || connection !== 'none'))
        state.broken ??= `${NAMES[claimant]} is granted it while ${NAMES[index]} is ${claim.phase}`
    }
  }

  /** A holder that does not run, or cannot be heard, is waited for no longer; one that is only slow may be, at a price. */
  #time(): void {
    const { arbiter, workers, left } = this.#state
    const lease = arbiter.leases[LEASE]
    const holder = lease?.holder
    const worker = holder == null ? undefined : workers[holder.claimant]
    if (holder == null || worker === undefined || worker.isKilled || worker.isGone) return
    const isSilent = worker.life !== 'runs' || worker.isCut
    const mayBeSlow = left > 0 && this.#bound.faults.includes('late')
    if (isSilent || mayBeSlow)
      this.#take(
        `${NAMES[holder.claimant]} is overdue`,
        (state) => {
          if (!isSilent) state.left--
          const { heardAt } = state.arbiter.claimants[holder.claimant] ?? { heardAt: 0 }
          const at = Math.max(heardAt, holder.grantedAt) + 6_000
          this.#arbiterAt({ type: 'tick' }, at, state)
        },
        isSilent,
      )
    if (lease?.move?.phase === 'opening' && mayBeSlow)
      this.#take(
        `${NAMES[holder.claimant]} is not open in time`,
        (state) => {
          state.left--
          const move = state.arbiter.leases[LEASE]?.move
          if (move != null) move.openBy = 0
          this.#arbiterAt({ type: 'tick' }, 0, state)
        },
        false,
      )
  }

  #arbiterAt(event: ArbiterEvent, now: number, state: TreeState): void {
    state.arbiter.dueAt = now
    const arbiter = new this.#cores.LeaseArbiter(state.arbiter)
    const { lastGrant } = state.arbiter
    for (const effect of arbiter.handle(event, now)) this.#effect(effect, lastGrant, state)
  }

  #acts(): void {
    const last = this.#bound.generations.length - 1
    for (const [at, act] of this.#state.acts.entries()) {
      const does = (run: (state: TreeState) => void, name: string = act): void =>
        this.#take(
          `-- ${name}`,
          (state) => {
            state.acts.splice(at, 1)
            run(state)
          },
          false,
        )
      if (act === 'try the last')
        does((state) => {
          state.acts.push('decide')
          this.#arbiter({ type: 'tryOut', claimant: last }, state)
        })
      // Whoever tries one out decides when it has heard, or when there is nothing to hear.
      if (act === 'decide') {
        if (this.#state.trial !== 'waits')
          does((state) => this.#arbiter({ type: 'keep', claimant: last }, state), 'keep')
        does((state) => this.#arbiter({ type: 'giveBack', claimant: last, why: 'no' }, state), 'give back')
      }
      if (act === 'hand over to the last' || act === 'hand over')
        does((state) => {
          state.request = 'waits'
          const to = act === 'hand over' ? null : last
          this.#arbiter({ type: 'handOver', request: 1, lease: LEASE, to }, state)
        })
      if (act === 'the first leaves')
        does((state) => {
          this.#arbiter({ type: 'leaving', claimant: 0 }, state)
          tell(workerOf(state, 0), { type: 'leave' })
        })
      if (act === 'the first withdraws' && this.#state.workers[0]?.life === 'runs')
        does((state) => this.#end(0, workerOf(state, 0), state))
    }
  }
}

const workerOf = (state: TreeState, index: number): WorkerState => {
  const worker = state.workers[index]
  if (worker === undefined) throw new Error(`there is no worker ${index}`)
  return worker
}

const send = (worker: WorkerState, message: ToPrimary): void => {
  if (!worker.isCut) worker.toPrimary.push(message)
}

const tell = (worker: WorkerState, message: ToWorker): void => {
  if (!worker.isCut && worker.life !== 'dead') worker.toWorker.push(message)
}

const die = (index: number, state: TreeState): void => {
  const own = workerOf(state, index)
  if (own.connection !== 'none') state.wire.push({ worker: index, what: 'reset' })
  Object.assign(own, {
    life: 'dead',
    connection: 'none',
    mayDial: false,
    machine: 'idle',
    toWorker: [],
    fence: 'fine',
  })
  own.claim = newClaimState()
}

const toEvent = (claimant: number, message: ToPrimary): ArbiterEvent => {
  const of = { claimant, claim: 1 }
  switch (message.type) {
    case 'claimed':
      return { type: 'claimed', ...of, lease: LEASE }
    case 'withdrawn':
      return { type: 'withdrawn', ...of }
    case 'released':
      return { ...message, ...of }
    case 'opened':
      return { type: 'opened', grant: message.grant, ...of }
    case 'failed':
      return { type: 'failed', grant: message.grant, why: 'lost', ...of }
  }
}

const copyState = (state: TreeState): TreeState => ({
  ...state,
  arbiter: copyArbiter(state.arbiter),
  workers: state.workers.map((worker) => ({
    ...worker,
    claim: { ...worker.claim },
    toWorker: worker.toWorker.map((message) => ({ ...message })),
    toPrimary: worker.toPrimary.map((message) => ({ ...message })),
  })),
  wire: [...state.wire],
  counted: [...state.counted],
  acts: [...state.acts],
})

const copyArbiter = (arbiter: ArbiterState): ArbiterState => {
  const copy: ArbiterState = { ...arbiter, claimants: {}, leases: {} }
  for (const number in arbiter.claimants) {
    const claimant = arbiter.claimants[number]
    if (claimant !== undefined) copy.claimants[number] = { ...claimant }
  }
  for (const [name, lease] of Object.entries(arbiter.leases))
    copy.leases[name] = {
      ...lease,
      claims: lease.claims.map((claim) => ({ ...claim })),
      holder: lease.holder && { ...lease.holder },
      move: lease.move && { ...lease.move },
    }
  return copy
}

/** Times are all the same, and of the numbers of grants only the order matters. */
const normalise = (state: TreeState): void => {
  const { arbiter, workers } = state
  const lease = arbiter.leases[LEASE]
  const grants = [arbiter.lastGrant, lease?.holder?.grant, ...workers.map(({ claim }) => claim.grant)]
  for (const { toWorker, toPrimary } of workers)
    for (const message of [...toWorker, ...toPrimary]) if ('grant' in message) grants.push(message.grant)
  const known = [...new Set(grants.flatMap((grant) => (grant == null ? [] : [grant])))].sort((a, b) => a - b)
  const renumber = (grant: number): number => known.indexOf(grant)
  arbiter.lastGrant = renumber(arbiter.lastGrant)
  arbiter.dueAt = null
  for (const claimant of Object.values(arbiter.claimants)) claimant.heardAt = 0
  if (lease !== undefined) {
    Object.assign(lease, { freeSince: null, lastHolder: null })
    if (lease.move !== null) {
      if (lease.move.openBy !== null) lease.move.openBy = 60_000
      if (lease.move.failure !== null) lease.move.failure = 'failed'
    }
    const { holder } = lease
    if (holder !== null) {
      holder.grant = renumber(holder.grant)
      holder.grantedAt = 0
      if (holder.goneBy !== null) holder.goneBy = 7_000
    }
  }
  for (const { claim, toWorker, toPrimary } of workers) {
    if (claim.grant !== null) claim.grant = renumber(claim.grant)
    for (const message of [...toWorker, ...toPrimary])
      if ('grant' in message) message.grant = renumber(message.grant)
  }
}
