// What can be done to one worker: start it in a slot, retire it by the stop ladder, make it leave at once.
// Pure: it changes the pool and emits effects. When to do which is decided in src/primary/supervisor-core.ts.

import type { DrainReason } from '../shared/protocol.js'
import type { Effect, Release, WorkerTimer } from './commands.js'
import type { ForkGate } from './fork-gate.js'
import { LEAVE_LADDER, stopLadder } from './stop-ladder.js'
import { WorkerHandle } from './worker-handle.js'
import type { Slot, WorkerPool } from './worker-pool.js'

export interface Surroundings {
  readonly now: number
  emit(effect: Effect): void
}

const WORKER_TIMERS: readonly WorkerTimer[] = ['ready', 'probation', 'signalled', 'terminate', 'kill']

export class WorkerOperations {
  readonly #pool: WorkerPool
  readonly #gate: ForkGate
  readonly #around: Surroundings
  #lastId = 0

  constructor(pool: WorkerPool, gate: ForkGate, around: Surroundings) {
    this.#pool = pool
    this.#gate = gate
    this.#around = around
  }

  /** Whether the fork gate is open; if it is not, a timer asks again. */
  mayFork(): boolean {
    const ms = this.#gate.wait(this.#around.now, this.#pool.live.length)
    if (ms > 0) this.#around.emit({ type: 'setTimer', key: 'forkGate', ms })
    return ms === 0
  }

  /** Asks for a worker; it belongs to the slot as what `as` says. The gate must have been asked before. */
  start(slot: Slot, release: Release, as: 'serving' | 'replacement'): WorkerHandle {
    this.#gate.passed(this.#around.now)
    const handle = new WorkerHandle({
      id: ++this.#lastId,
      slot: slot.index,
      generation: release.generation,
      askedAt: this.#around.now,
      mustListen: (slot.serving?.listening.size ?? 0) > 0,
    })
    slot.nextStartAt = null
    slot[as] = handle
    this.#pool.add(handle)
    const { id, generation } = handle
    const isHeld = as === 'replacement' && slot.serving?.state === 'ready'
    this.#around.emit({
      type: 'fork',
      order: { id, slot: slot.index, generation, workers: release.workers, relays: release.relays, isHeld },
    })
    this.#around.emit({ type: 'setTimer', key: `ready:${id}`, ms: release.readyTimeout })
    return handle
  }

  /** First rung: drain. The next ones follow by timers; the whole ladder takes `budget` ms at most. */
  retire(handle: WorkerHandle, reason: DrainReason, budget: number): void {
    if (!handle.isServing) return
    this.clearTimers(handle)
    handle.drainReason = reason
    if (handle.pid === null) {
      handle.moveTo('stopping', reason)
      this.#around.emit({ type: 'cancelFork', id: handle.id })
      return
    }
    handle.moveTo('draining', reason)
    const { id, slot, pid, generation } = handle
    const ladder = stopLadder(budget)
    this.#around.emit({
      type: 'progress',
      progress: { event: 'workerDraining', slot, pid, generation, reason },
    })
    this.#around.emit({ type: 'send', id, message: { type: 'drain', reason, budget: ladder.drain } })
    this.#around.emit({ type: 'setTimer', key: `terminate:${id}`, ms: ladder.terminateAt })
    this.#around.emit({ type: 'setTimer', key: `kill:${id}`, ms: ladder.killAt })
  }

  /** A drain cut short: the worker still tries its Close frames, then it is killed. */
  leaveNow(handle: WorkerHandle): void {
    if (handle.isGone || handle.state === 'stopping') return
    this.clearTimers(handle)
    handle.moveTo('stopping', 'leave now')
    if (handle.pid === null) return this.#around.emit({ type: 'cancelFork', id: handle.id })
    this.#around.emit({ type: 'send', id: handle.id, message: { type: 'leave' } })
    this.#around.emit({ type: 'setTimer', key: `kill:${handle.id}`, ms: LEAVE_LADDER.killAt })
  }

  terminate(handle: WorkerHandle): void {
    if (handle.pid !== null) this.#around.emit({ type: 'kill', id: handle.id, signal: 'SIGTERM' })
  }

  kill(handle: WorkerHandle): void {
    if (handle.state === 'draining') handle.moveTo('stopping', 'killed')
    handle.wasKilled = true
    if (handle.pid !== null) this.#around.emit({ type: 'kill', id: handle.id, signal: 'SIGKILL' })
  }

  clearTimers(handle: WorkerHandle): void {
    for (const timer of WORKER_TIMERS) this.#around.emit({ type: 'clearTimer', key: `${timer}:${handle.id}` })
  }
}
