// The primary's decisions: commands in, effects out. No process, no socket, no clock of its own.
// Here: which change is under way, scaling that lasts, and the stop (its phases: stop.ts). One worker's life is src/primary/slot-keeper.ts,
// each kind of change a file of its own (src/primary/change.ts). The queue and everything that acts: supervisor.ts.

import type { Random } from '../shared/clock.js'
import { formatDuration } from '../shared/duration.js'
import type { OperationResult } from '../shared/progress.js'
import type { DrainReason } from '../shared/protocol.js'
import { MAX_WORKERS } from '../shared/settings.js'
import { transition } from '../shared/state-machine.js'
import type { SupervisorState } from '../shared/status.js'
import type { Board } from './board.js'
import { type Change, ROLLED_BACK } from './change.js'
import { ChangeQueue } from './change-queue.js'
import type { ChangeOrder, Command, Effect, Release, TimerKey } from './commands.js'
import { ForkGate, forkGateLimits } from './fork-gate.js'
import { FullRestart } from './full-restart.js'
import { SUPERVISOR_LIFECYCLE } from './lifecycles.js'
import { RollingRestart } from './rolling-restart.js'
import { Scaling } from './scaling.js'
import { type ServiceReadiness, serviceReadiness } from './service-readiness.js'
import { SlotKeeper } from './slot-keeper.js'
import { Stop } from './stop.js'
import type { WorkerHandle } from './worker-handle.js'
import { WorkerOperations } from './worker-operations.js'
import { Slot, WorkerPool } from './worker-pool.js'

/** Exit code of a supervisor that gave up because a worker crashed too often. */
const INTENSITY_EXCEEDED = 7

export interface CoreOptions {
  release: Release
  /** How many workers may be starting at once when slots are filled. */
  startConcurrency: number
  random: Random
}

type StopOrder = Omit<Extract<Command, { type: 'stop' }>, 'type'>

/** The change whose turn it is; `change` is null while its release is being resolved. */
interface Turn {
  requests: readonly number[]
  order: ChangeOrder
  change: Change | null
}

export class SupervisorCore {
  readonly pool = new WorkerPool()
  readonly #gate: ForkGate
  readonly #board: Board
  readonly #keeper: SlotKeeper
  readonly #queue = new ChangeQueue()
  #state: SupervisorState = 'starting'
  #effects: Effect[] = []
  #now = 0
  #release: Release
  #turn: Turn | null = null
  #lastGeneration: number
  /** How many workers the configuration named last, whatever has been scaled since. */
  #configured: number
  #isStarted = false
  #stop: Stop | null = null

  constructor({ release, startConcurrency, random }: CoreOptions) {
    this.#release = release
    this.#configured = release.workers
    this.#lastGeneration = release.generation
    this.#gate = new ForkGate(forkGateLimits(release.workers, release.maxSurge))
    this.#board = this.#makeBoard(random)
    this.#keeper = new SlotKeeper(this.#board, startConcurrency)
  }

  get state(): SupervisorState {
    return this.#state
  }

  get generation(): number {
    return this.#release.generation
  }

  /** Whether all of it shall be sent traffic now. */
  get readiness(): ServiceReadiness {
    const { slots } = this.pool
    const { relays } = this.#release
    const count = (some: readonly Slot[]) => ({
      ready: some.filter(({ serving }) => serving?.state === 'ready').length,
      wanted: some.length,
    })
    return serviceReadiness({
      state: this.#state,
      isStarted: this.#isStarted,
      ...count(slots.slice(relays)),
      relays: count(slots.slice(0, relays)),
    })
  }

  /** Decides; `now` is monotonic ms. The effects are to be carried out in their order. */
  handle(command: Command, now: number): Effect[] {
    this.#now = now
    this.#dispatch(command)
    this.#advance()
    return this.#effects.splice(0)
  }

  #dispatch(command: Command): void {
    switch (command.type) {
      case 'start':
        return this.#resize(this.#release)
      case 'change':
        return this.#ask(command.request, command.order)
      case 'releaseResolved':
        return this.#changeTo(command.release)
      case 'releaseRejected':
        return this.#refuseRelease(command.message)
      case 'stop':
        return this.#stopAll(command)
      case 'timer':
        return this.#timer(command.key)
      case 'pulse':
        return this.#emit({ type: 'pulse' })
      default: {
        const handle = this.pool.get(command.id)
        if (handle !== undefined) this.#keeper.handle(handle, command)
      }
    }
  }

  /** What follows from the state of things, whatever has just happened. */
  #advance(): void {
    if (this.#state === 'stopping') {
      if (this.pool.live.length === 0 && this.#stop !== null) this.#ended(this.#stop)
      return
    }
    // Commands come until the control socket is closed; none of them starts anything any more.
    if (this.#state === 'stopped') return
    for (;;) {
      const result = this.#turn?.change?.advance() ?? null
      if (result !== null) this.#endTurn(result)
      if (!this.#beginNext() && result === null) break
    }
    this.#keeper.fillSlots()
    if (this.#state === 'starting' && this.pool.isAllReady) {
      this.#moveTo('running', 'all workers ready')
      this.#startedOnce()
    }
  }

  #startedOnce(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#emit({ type: 'started' })
  }

  #makeBoard(random: Random): Board {
    const core = this
    const around = {
      get now() {
        return core.#now
      },
      emit: (effect: Effect) => core.#emit(effect),
    }
    return {
      pool: this.pool,
      operations: new WorkerOperations(this.pool, this.#gate, around),
      random,
      emit: around.emit,
      get now() {
        return core.#now
      },
      get release() {
        return core.#release
      },
      set release(release) {
        core.#release = release
      },
      get change() {
        return core.#turn?.change ?? null
      },
      get isStopping() {
        return core.#state === 'stopping'
      },
      resize: (release) => this.#resize(release),
      retire: (handle, reason) => this.#retire(handle, reason),
      clearWait: (slot) => this.#clearWait(slot),
      restartLater: (slot, signal, reason) => this.#restartLater(slot, signal, reason),
    }
  }

  // --- Deeds that all parts need ----------------------------------------------------------------------------------

  #resize(release: Release): void {
    const { slots } = this.pool
    while (slots.length < release.workers) slots.push(new Slot(slots.length, release.generation))
    for (const slot of slots.splice(release.workers)) {
      this.#clearWait(slot)
      const reason = this.#turn?.change?.reason ?? 'scale'
      for (const handle of [slot.serving, slot.replacement]) if (handle !== null) this.#retire(handle, reason)
    }
    this.#gate.limits = forkGateLimits(release.workers, release.maxSurge)
  }

  #retire(handle: WorkerHandle, reason: DrainReason): void {
    const { stopTimeout } = this.#turn?.change?.releaseOf(handle.generation) ?? this.#release
    this.#board.operations.retire(handle, this.#board.isStopping ? 'stop' : reason, stopTimeout)
  }

  #clearWait(slot: Slot): void {
    slot.nextStartAt = null
    this.#emit({ type: 'clearTimer', key: `slot:${slot.index}` })
  }

  #restartLater(slot: Slot, signal: string | null, reason: string): void {
    const limits = this.#release.restart
    const { delay, crashes, isExceeded } = slot.policy.crashed(this.#now, signal, limits, this.#board.random)
    slot.restarts++
    if (isExceeded && limits.onExceeded === 'exit') {
      const why = `worker ${slot.index} crashed ${crashes} times within ${formatDuration(limits.period)}, last: ${reason}`
      this.#stopAll({ reason: why, urgent: false }, { exitCode: INTENSITY_EXCEEDED, why })
      return
    }
    if (delay === 0) return
    const ms = Math.ceil(delay)
    slot.nextStartAt = this.#now + ms
    this.#emit({ type: 'setTimer', key: `slot:${slot.index}`, ms })
    this.#emit({
      type: 'progress',
      progress: { event: 'workerWaiting', slot: slot.index, ms, reason, crashes },
    })
  }

  // --- Changes --------------------------------------------------------------------------------------------------

  #ask(request: number, order: ChangeOrder): void {
    if (this.#state === 'stopping' || this.#state === 'stopped')
      return this.#answer([request], this.#notDone('the supervisor is stopping'))
    if (!this.#queue.add(request, order))
      this.#answer([request], this.#notDone('too many changes wait for their turn'))
  }

  /** Begins the next change if it is time; false if there is nothing to begin. */
  #beginNext(): boolean {
    if (this.#turn !== null) return false
    const next = this.#queue.take()
    if (next === undefined) return false
    const { ids: requests, order } = next
    this.#turn = { requests, order, change: null }
    this.#emit({ type: 'changeBegun', requests })
    if (order.kind === 'scale') {
      const { workers, relays } = this.#release
      const wanted = 'to' in order ? order.to : workers - relays + order.by
      this.#turn.change = new Scaling(this.#board, Math.min(MAX_WORKERS, Math.max(1, wanted)))
    } else {
      this.#moveTo('reloading', order.kind)
      this.#emit({ type: 'resolveRelease', generation: ++this.#lastGeneration })
    }
    return true
  }

  #refuseRelease(message: string): void {
    if (this.#turn !== null && this.#turn.change === null)
      this.#endTurn(this.#notDone(`${message} (nothing was touched)`))
  }

  #changeTo(resolved: Release): void {
    if (this.#turn === null || this.#turn.change !== null) return
    // Who scaled by hand keeps the number until the configuration names another one.
    const isScaled = resolved.workers === this.#configured
    this.#configured = resolved.workers
    const release = isScaled ? { ...resolved, workers: this.#release.workers } : resolved
    const Kind = this.#turn.order.kind === 'restart' ? FullRestart : RollingRestart
    this.#turn.change = new Kind(this.#board, release)
  }

  #endTurn(result: OperationResult): void {
    if (this.#turn === null) return
    const { requests } = this.#turn
    this.#turn = null
    if (this.#state === 'reloading') {
      const isUp = this.#isStarted || this.pool.isAllReady
      this.#moveTo(isUp ? 'running' : 'starting', 'change ended')
      if (isUp) this.#startedOnce()
    }
    this.#answer(requests, result)
  }

  #answer(requests: readonly number[], result: OperationResult): void {
    this.#emit({ type: 'changeEnded', requests, result })
  }

  #notDone(message: string): OperationResult {
    return { ok: false, exitCode: ROLLED_BACK, message, generation: this.#release.generation, failures: [] }
  }

  // --- Stop -----------------------------------------------------------------------------------------------------

  #stopAll(
    { reason, urgent: isUrgent, repeated: isRepeated = false }: StopOrder,
    end: { exitCode: number; why: string | null } = { exitCode: 0, why: null },
  ): void {
    if (this.#state === 'stopped') return
    if (this.#stop !== null) return this.#stop.askedAgain({ isUrgent, isRepeated })
    this.#moveTo('stopping', reason)
    const given = this.#notDone('given up: the supervisor is stopping')
    const { killed: killedBefore } = this.#keeper
    this.#stop = new Stop(this.#board, { reason, isUrgent, killedBefore, ...end })
    if (this.#turn !== null) this.#answer(this.#turn.requests, given)
    for (const { ids } of this.#queue.takeAll()) this.#answer(ids, given)
    for (const slot of this.pool.slots) this.#clearWait(slot)
    this.#stop.begin()
  }

  #ended(stop: Stop): void {
    this.#moveTo('stopped', 'no worker is left')
    this.#emit({ type: 'ended', result: stop.end(this.#keeper.killed) })
  }

  // --- Small change ---------------------------------------------------------------------------------------------

  #timer(key: TimerKey): void {
    if (key === 'forkGate') return
    if (key === 'shutdownDelay') return this.#stop?.delayIsOver()
    const [kind, number] = key.split(':') as [string, string]
    if (kind === 'slot') {
      const slot = this.pool.slot(Number(number))
      if (slot !== undefined) slot.nextStartAt = null
      return
    }
    const handle = this.pool.get(Number(number))
    if (handle !== undefined) this.#keeper.timer(handle, kind)
  }

  #moveTo(state: SupervisorState, reason: string): void {
    this.#state = transition('supervisor', SUPERVISOR_LIFECYCLE, this.#state, state, reason)
    this.#emit({ type: 'stateChanged', state })
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect)
  }
}
