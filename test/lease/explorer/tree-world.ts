// Workers of one primary that want one identity: the real arbiter and the real claims, with a channel in each direction,
// the wire to the upstream, and processes that are killed, stopped, cut off and found out late. There is no machine stage
// in it, so that what is found to hold holds by the arbiter alone.
//
// There is no clock either: a deadline passes whenever somebody who does not run could be waited for, a fence whenever
// the primary could have been silent. That is more than can happen with clocks, never less.

import type { ArbiterEffect, ArbiterEvent } from '../../../src/lease/arbiter-events.js'
import type { ClaimEvent } from '../../../src/lease/claim.js'
import { type Cores, REAL_CORES } from '../simulation/cores.js'
import type { Model, Step } from './explore.js'
import {
  copyState,
  die,
  initialState,
  LEASE,
  NAMES,
  normalise,
  send,
  type TreeBound,
  type TreeFault,
  type TreeState,
  tell,
  toEvent,
  type WorkerState,
  workerOf,
} from './tree-state.js'

export const treeWorld = (bound: TreeBound): Model<TreeState> => ({
  initial: [initialState(bound)],
  key: (state) => JSON.stringify(state),
  steps: (state) => new Steps(bound, state).all(),
  violation: ({ broken, counted }) =>
    broken ?? (counted.filter(Boolean).length > 1 ? 'the upstream counts two open connections' : null),
  isWell,
})

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
