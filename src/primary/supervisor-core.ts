// The primary's decisions: commands in, effects out. No process, no socket, no clock of its own.
// The queue and everything that acts is src/primary/supervisor.ts; one rolling restart is src/primary/rolling-restart.ts.

import type { Random } from '../shared/clock.js'
import { formatDuration } from '../shared/duration.js'
import type { OperationResult, WorkerFailure } from '../shared/progress.js'
import { transition } from '../shared/state-machine.js'
import type { SupervisorState } from '../shared/status.js'
import type { Command, Effect, Release, TimerKey } from './commands.js'
import { ForkGate, forkGateLimits } from './fork-gate.js'
import { SUPERVISOR_LIFECYCLE } from './lifecycles.js'
import { RollingRestart } from './rolling-restart.js'
import type { ProcessEnd, WorkerHandle } from './worker-handle.js'
import { WorkerOperations } from './worker-operations.js'
import { Slot, WorkerPool } from './worker-pool.js'

/**
 * pm2 and systemd signal the whole process group: a worker may report its copy of a stop signal before the primary
 * sees its own. After this many ms it was meant for the worker alone.
 */
const GROUP_SIGNAL_GRACE = 100
/** Exit code of a rolling restart that was given up. */
const ROLLED_BACK = 5

export interface CoreOptions {
  release: Release
  /** How many workers may be starting at once when slots are filled. */
  startConcurrency: number
  random: Random
}

export class SupervisorCore {
  readonly pool = new WorkerPool()
  readonly #gate: ForkGate
  readonly #operations: WorkerOperations
  readonly #startConcurrency: number
  readonly #random: Random
  #state: SupervisorState = 'starting'
  #effects: Effect[] = []
  #now = 0
  /** The release that the supervisor stands by; a rolling restart that fails changes nothing here. */
  #release: Release
  #rolling: RollingRestart | null = null
  #lastGeneration: number
  #isResolving = false
  #isReloadWanted = false
  #isStarted = false
  #stop: { at: number; isUrgent: boolean } | null = null
  #killed = 0

  constructor({ release, startConcurrency, random }: CoreOptions) {
    this.#release = release
    this.#lastGeneration = release.generation
    this.#startConcurrency = startConcurrency
    this.#random = random
    this.#gate = new ForkGate(forkGateLimits(release.workers, release.maxSurge))
    const core = this
    this.#operations = new WorkerOperations(this.pool, this.#gate, {
      get now() {
        return core.#now
      },
      emit: (effect) => core.#effects.push(effect),
    })
  }

  get state(): SupervisorState {
    return this.#state
  }

  get generation(): number {
    return this.#release.generation
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
      case 'reload':
        return this.#reload()
      case 'releaseResolved':
        return this.#roll(command.release)
      case 'releaseRejected':
        return this.#refuseRelease(command.message)
      case 'stop':
        return this.#stopAll(command.reason, command.urgent)
      case 'timer':
        return this.#timer(command.key)
      default: {
        const handle = this.pool.get(command.id)
        if (handle !== undefined) this.#workerCommand(handle, command)
      }
    }
  }

  #workerCommand(handle: WorkerHandle, command: Extract<Command, { id: number }>): void {
    switch (command.type) {
      case 'spawned':
        return this.#spawned(handle, command.pid)
      case 'workerReady':
        return this.#ready(handle, command.by)
      case 'workerListening':
        return this.#listening(handle, command.address)
      case 'workerSignalled':
        return this.#signalled(handle)
      case 'workerDrained':
        handle.forcedEnds = command.forced.requests + command.forced.upgraded + command.forced.hooks.length
        return
      case 'workerFault':
        handle.fault = command.text
        return
      case 'workerMisbehaved':
        return this.#misbehaved(handle, command.reason)
      case 'workerExited':
        return this.#exited(handle, command.end)
    }
  }

  // --- One worker -----------------------------------------------------------------------------------------------

  #spawned(handle: WorkerHandle, pid: number): void {
    handle.pid = pid
    const { slot, generation } = handle
    this.#emit({ type: 'progress', progress: { event: 'workerStarting', slot, pid, generation } })
    // The fork could not be called off any more.
    if (handle.state === 'stopping') this.#operations.kill(handle)
  }

  #listening(handle: WorkerHandle, address: string): void {
    handle.listening.add(address)
    if (handle.readyBy === 'clients') this.#ready(handle, 'listening')
  }

  #ready(handle: WorkerHandle, by: string): void {
    if (handle.state !== 'starting' || handle.pid === null) return
    handle.readyBy = by
    // An app with a server and clients: its predecessor served requests, so open clients are not enough.
    if (by === 'clients' && handle.mustListen && handle.listening.size === 0) return
    handle.moveTo('ready', by)
    handle.readyAt = this.#now
    this.#emit({ type: 'clearTimer', key: `ready:${handle.id}` })
    this.#emit({ type: 'setTimer', key: `probation:${handle.id}`, ms: this.#releaseOf(handle).minUptime })
    const { slot, pid, generation } = handle
    const ms = Math.round(this.#now - handle.askedAt)
    this.#emit({ type: 'progress', progress: { event: 'workerReady', slot, pid, generation, by, ms } })
    const place = this.pool.slot(slot)
    if (place?.replacement !== handle) return
    if (this.#rolling?.isUnderWay(slot) && this.#rolling.isCanaryNext) return // takes over after its probation
    this.#takeOver(place, handle, false)
  }

  #takeOver(slot: Slot, handle: WorkerHandle, isProved: boolean): void {
    const predecessor = slot.serving
    slot.serving = handle
    slot.replacement = null
    this.#emit({ type: 'admit', id: handle.id })
    slot.generation = handle.generation
    if (this.#rolling?.isUnderWay(slot.index)) {
      slot.policy.forget()
      this.#rolling.slotDone(slot.index, handle.id, isProved)
    }
    if (predecessor !== null) this.#retire(predecessor)
  }

  #notReady(handle: WorkerHandle): void {
    const limit = formatDuration(this.#releaseOf(handle).readyTimeout)
    const waited =
      handle.readyBy === 'clients'
        ? 'its clients are open, but it does not listen as its predecessor does (call ready() if that is meant)'
        : "none of these came: a listening server, ready(), process.send('ready'), all guarded clients open"
    this.#fail(handle, `was not ready within ${limit}: ${waited}`)
  }

  /** Something is wrong with it before it has taken over: it goes, and the slot deals with it as with a crash. */
  #fail(handle: WorkerHandle, reason: string): void {
    handle.dropReason = reason
    this.#retire(handle)
    this.#lost(handle, reason, { code: null, signal: null })
  }

  #signalled(handle: WorkerHandle): void {
    if (!handle.isServing || this.#state === 'stopping') return
    this.#emit({ type: 'send', id: handle.id, message: { type: 'hold' } })
    this.#emit({ type: 'setTimer', key: `signalled:${handle.id}`, ms: GROUP_SIGNAL_GRACE })
  }

  /** A serving worker is not fit to go on: it is replaced start first, and as often as if it had crashed. */
  #misbehaved(handle: WorkerHandle, reason: string): void {
    if (!handle.isServing || handle.mustGo) return
    handle.dropReason ??= reason
    const slot = this.pool.slot(handle.slot)
    if (
      handle.state === 'starting' ||
      slot?.replacement === handle ||
      this.#rolling?.isOnProbation(handle.id)
    ) {
      return this.#fail(handle, reason)
    }
    this.#replaceFirst(handle)
    if (slot !== undefined)
      this.#restartLater(slot, slot.policy.delayAfterCrash(this.#now, null, this.#random), reason)
  }

  /** Its replacement is started first; where one is under way already, it goes now. */
  #replaceFirst(handle: WorkerHandle): void {
    if (!handle.isServing) return
    const slot = this.pool.slot(handle.slot)
    if (slot?.replacement === handle) return this.#fail(handle, 'got a stop signal of its own')
    handle.mustGo = true
    if (slot?.serving !== handle || this.#rolling?.isUnderWay(slot.index)) this.#retire(handle)
  }

  #exited(handle: WorkerHandle, end: ProcessEnd): void {
    const wasLeaving = handle.isLeaving
    const reason =
      wasLeaving && handle.dropReason === null
        ? this.#describeLeave(handle, end)
        : handle.describeEnd(end, this.#now)
    this.#operations.clearTimers(handle)
    handle.moveTo('exited', reason)
    this.pool.remove(handle)
    if (handle.wasKilled) this.#killed++
    const { slot, generation, pid } = handle
    if (pid !== null || end.failure !== undefined) {
      const { code, signal } = end
      this.#emit({
        type: 'progress',
        progress: {
          event: 'workerExited',
          slot,
          pid: pid ?? 0,
          generation,
          code,
          signal,
          reason,
          expected: wasLeaving,
        },
      })
    }
    if (wasLeaving) {
      this.#vacate(handle)
      this.#rolling?.probationPassed(handle.id)
    } else this.#lost(handle, reason, end)
  }

  #describeLeave(handle: WorkerHandle, end: ProcessEnd): string {
    if (handle.wasKilled) return `killed: did not leave within its time (${handle.drainReason ?? 'stop'})`
    if (end.signal !== null) return `ended by ${end.signal} while it drained`
    return handle.forcedEnds === 0 ? 'drained' : `drained, ${handle.forcedEnds} ended by force`
  }

  /** A worker went as it was told to. */
  #vacate(handle: WorkerHandle): void {
    const slot = this.pool.slot(handle.slot)
    if (slot?.serving === handle) slot.serving = null
    if (slot?.replacement === handle) slot.replacement = null
    // Whoever was to take over later is all that the slot has now.
    if (slot?.serving === null && slot.replacement !== null)
      this.#emit({ type: 'admit', id: slot.replacement.id })
  }

  /** A worker is lost to its slot, by its own fault or ours. */
  #lost(handle: WorkerHandle, reason: string, end: ProcessEnd): void {
    const slot = this.pool.slot(handle.slot)
    if (slot === undefined || (slot.serving !== handle && slot.replacement !== handle)) return
    slot.lastExit = { code: end.code, signal: end.signal, reason, at: Date.now() }
    const wasReplacement = slot.replacement === handle
    this.#vacate(handle)
    if (this.#state === 'stopping') return
    const failure: WorkerFailure = { slot: slot.index, pid: handle.pid, reason }
    if (this.#rolling?.isUnderWay(slot.index) && wasReplacement)
      return this.#rollFailed(this.#rolling, failure)
    if (this.#rolling?.isOnProbation(handle.id)) return this.#rollFailed(this.#rolling, failure)
    if (wasReplacement) {
      // It should have relieved a worker that must go; that one goes now, and the slot starts afresh.
      if (slot.serving !== null) this.#retire(slot.serving)
      return
    }
    this.#restartLater(slot, slot.policy.delayAfterCrash(this.#now, end.signal, this.#random), reason)
  }

  #restartLater(slot: Slot, ms: number, reason: string): void {
    slot.restarts++
    if (ms === 0) return
    slot.nextStartAt = this.#now + ms
    this.#emit({ type: 'setTimer', key: `slot:${slot.index}`, ms })
    this.#emit({ type: 'progress', progress: { event: 'workerWaiting', slot: slot.index, ms, reason } })
  }

  #retire(handle: WorkerHandle): void {
    const reason = this.#state === 'stopping' ? 'stop' : this.#rolling !== null ? 'reload' : 'replace'
    this.#operations.retire(handle, reason, this.#releaseOf(handle).stopTimeout)
  }

  // --- All workers ----------------------------------------------------------------------------------------------

  /** What follows from the state of things, whatever has just happened. */
  #advance(): void {
    if (this.#state === 'stopping') {
      if (this.pool.live.length === 0) this.#ended()
      return
    }
    // Commands come until the control socket is closed; none of them starts anything any more.
    if (this.#state === 'stopped') return
    this.#advanceRolling()
    this.#fillSlots()
    if (!this.#isStarted && this.pool.isAllReady && this.#state === 'starting') {
      this.#isStarted = true
      this.#moveTo('running', 'all workers ready')
      this.#emit({ type: 'started' })
    }
  }

  /** Starts a worker in each slot that has none and is not waiting, and a replacement where one must go. */
  #fillSlots(): void {
    for (const slot of this.pool.slots) {
      if (this.#rolling?.isUnderWay(slot.index) || slot.replacement !== null) continue
      const isEmpty = slot.serving === null && slot.nextStartAt === null
      const isNewSlot = this.#rolling !== null && slot.index >= this.#rolling.previous.workers
      const needsReplacement =
        slot.serving?.mustGo === true && slot.serving.state === 'ready' && slot.nextStartAt === null
      if ((!isEmpty || isNewSlot) && !needsReplacement) continue
      if (isEmpty && this.pool.startingCount >= this.#startConcurrency) continue
      if (!this.#operations.mayFork()) return
      const release =
        this.#rolling?.release.generation === slot.generation ? this.#rolling.release : this.#releaseFor(slot)
      this.#operations.start(slot, release, isEmpty ? 'serving' : 'replacement')
    }
  }

  #resize(release: Release): void {
    const { slots } = this.pool
    while (slots.length < release.workers) slots.push(new Slot(slots.length, release.generation))
    for (const slot of slots.splice(release.workers)) {
      this.#emit({ type: 'clearTimer', key: `slot:${slot.index}` })
      if (slot.serving !== null) this.#retire(slot.serving)
      if (slot.replacement !== null) this.#retire(slot.replacement)
    }
    this.#gate.limits = forkGateLimits(release.workers, release.maxSurge)
  }

  // --- Rolling restart ------------------------------------------------------------------------------------------

  #reload(): void {
    if (this.#state === 'stopping' || this.#state === 'stopped') {
      return this.#emit({ type: 'reloadEnded', result: this.#notRolled('the supervisor is stopping') })
    }
    this.#isReloadWanted = true
    this.#beginReload()
  }

  #beginReload(): void {
    if (!this.#isReloadWanted || this.#isResolving || this.#rolling !== null) return
    this.#isReloadWanted = false
    this.#isResolving = true
    this.#moveTo('reloading', 'reload')
    this.#emit({ type: 'reloadBegun' })
    this.#emit({ type: 'resolveRelease', generation: ++this.#lastGeneration })
  }

  #refuseRelease(message: string): void {
    if (!this.#isResolving) return
    this.#isResolving = false
    this.#endReload(this.#notRolled(`${message} (nothing was touched)`))
  }

  #roll(release: Release): void {
    if (!this.#isResolving) return
    this.#isResolving = false
    this.#rolling = new RollingRestart({ release, previous: this.#release, startedAt: this.#now })
    if (release.workers > this.pool.slots.length) this.#resize(release)
    const slots = Array.from({ length: release.workers }, (_, index) => index)
    this.#emit({ type: 'progress', progress: { event: 'reloading', generation: release.generation, slots } })
  }

  #advanceRolling(): void {
    const rolling = this.#rolling
    if (rolling === null) return
    while (this.#operations.mayFork()) {
      const index = rolling.takeNext()
      if (index === undefined) break
      this.#beginSlot(rolling, index)
    }
    if (!rolling.isComplete) return
    // Slots that the release no longer has, or that only the failed one had, go last.
    if (this.pool.slots.length !== rolling.target.workers) this.#resize(rolling.target)
    if (this.pool.leaving.length === 0) this.#finishRolling(rolling)
  }

  #beginSlot(rolling: RollingRestart, index: number): void {
    const slot = this.pool.slot(index)
    if (slot === undefined)
      return rolling.giveUpSlot(index, { slot: index, pid: null, reason: 'the slot is gone' })
    if (slot.nextStartAt !== null) this.#emit({ type: 'clearTimer', key: `slot:${index}` })
    slot.nextStartAt = null
    if (rolling.direction === 'back' && slot.serving?.generation === rolling.target.generation) {
      return rolling.slotDone(index, slot.serving.id, true)
    }
    // A replacement that was already under way for another reason belongs to the old generation.
    if (slot.replacement !== null) {
      const other = slot.replacement
      slot.replacement = null
      this.#retire(other)
    }
    this.#operations.start(slot, rolling.target, 'replacement')
  }

  #rollFailed(rolling: RollingRestart, failure: WorkerFailure): void {
    if (rolling.direction === 'back') {
      rolling.giveUpSlot(failure.slot, failure)
      const slot = this.pool.slot(failure.slot)
      if (slot !== undefined && slot.serving === null) {
        this.#restartLater(slot, slot.policy.delayAfterCrash(this.#now, null, this.#random), failure.reason)
      }
      return
    }
    const { drop, restore } = rolling.turnBack(failure)
    for (const index of drop) {
      const slot = this.pool.slot(index)
      if (slot?.replacement == null) continue
      const dropped = slot.replacement
      slot.replacement = null
      this.#retire(dropped)
    }
    for (const index of [...drop, ...restore]) {
      const slot = this.pool.slot(index)
      if (slot !== undefined) slot.generation = rolling.previous.generation
    }
  }

  #finishRolling(rolling: RollingRestart): void {
    const { release, previous, failures } = rolling
    this.#rolling = null
    const ms = Math.round(this.#now - rolling.startedAt)
    if (rolling.direction === 'forward') {
      this.#release = release
      this.#emit({ type: 'progress', progress: { event: 'reloaded', generation: release.generation, ms } })
      const message = `${release.workers} workers run generation ${release.generation}`
      return this.#endReload({ ok: true, exitCode: 0, message, generation: release.generation, failures: [] })
    }
    this.#emit({
      type: 'progress',
      progress: { event: 'reloadFailed', generation: release.generation, failures },
    })
    const [first] = failures
    const culprit =
      first === undefined
        ? ''
        : `worker ${first.slot}${first.pid === null ? '' : ` (pid ${first.pid})`} ${first.reason}`
    const message = `rolled back to generation ${previous.generation}: ${culprit}`
    this.#endReload({ ok: false, exitCode: ROLLED_BACK, message, generation: previous.generation, failures })
  }

  #endReload(result: OperationResult): void {
    this.#moveTo(this.#isStarted || this.pool.isAllReady ? 'running' : 'starting', 'reload ended')
    if (!this.#isStarted && this.#state === 'running') {
      this.#isStarted = true
      this.#emit({ type: 'started' })
    }
    this.#emit({ type: 'reloadEnded', result })
    this.#beginReload()
  }

  #notRolled(message: string): OperationResult {
    return { ok: false, exitCode: ROLLED_BACK, message, generation: this.#release.generation, failures: [] }
  }

  // --- Stop -----------------------------------------------------------------------------------------------------

  #stopAll(reason: string, isUrgent: boolean): void {
    if (this.#state === 'stopped') return
    if (this.#stop === null) this.#beginStop(reason)
    if (isUrgent && this.#stop !== null) this.#stop.isUrgent = true
    for (const handle of this.pool.live) {
      if (this.#stop?.isUrgent) this.#operations.leaveNow(handle)
      else this.#retire(handle)
    }
  }

  #beginStop(reason: string): void {
    const wasReloading = this.#isResolving || this.#rolling !== null || this.#isReloadWanted
    this.#stop = { at: this.#now, isUrgent: false }
    this.#moveTo('stopping', reason)
    this.#rolling = null
    this.#isResolving = false
    this.#isReloadWanted = false
    this.#emit({
      type: 'progress',
      progress: { event: 'stopping', reason, budget: this.#release.stopTimeout },
    })
    if (wasReloading) {
      this.#emit({ type: 'reloadEnded', result: this.#notRolled('given up: the supervisor is stopping') })
    }
    for (const slot of this.pool.slots) {
      slot.nextStartAt = null
      this.#emit({ type: 'clearTimer', key: `slot:${slot.index}` })
    }
  }

  #ended(): void {
    const ms = Math.round(this.#now - (this.#stop?.at ?? this.#now))
    const isForced = this.#killed > 0 || this.#stop?.isUrgent === true
    this.#moveTo('stopped', 'no worker is left')
    this.#emit({ type: 'progress', progress: { event: 'stopped', ms, forced: this.#killed } })
    const message =
      this.#killed > 0
        ? `stopped; ${this.#killed} workers had to be killed`
        : isForced
          ? 'stopped at once'
          : 'stopped'
    const { generation } = this.#release
    this.#emit({
      type: 'ended',
      result: { ok: !isForced, exitCode: isForced ? 1 : 0, message, generation, failures: [] },
    })
  }

  // --- Timers and small change ----------------------------------------------------------------------------------

  #timer(key: TimerKey): void {
    if (key === 'forkGate') return
    const [kind, number] = key.split(':') as [string, string]
    if (kind === 'slot') {
      const slot = this.pool.slot(Number(number))
      if (slot !== undefined) slot.nextStartAt = null
      return
    }
    const handle = this.pool.get(Number(number))
    if (handle === undefined) return
    if (kind === 'ready' && handle.state === 'starting') this.#notReady(handle)
    if (kind === 'probation') this.#probationPassed(handle)
    if (kind === 'signalled') this.#replaceFirst(handle)
    if (kind === 'terminate' && handle.isLeaving) this.#operations.terminate(handle)
    if (kind === 'kill' && handle.isLeaving) this.#operations.kill(handle)
  }

  #probationPassed(handle: WorkerHandle): void {
    const slot = this.pool.slot(handle.slot)
    this.#rolling?.probationPassed(handle.id)
    if (slot?.replacement === handle && handle.state === 'ready') this.#takeOver(slot, handle, true)
  }

  #releaseOf(handle: WorkerHandle): Release {
    return this.#rolling?.release.generation === handle.generation ? this.#rolling.release : this.#release
  }

  #releaseFor(slot: Slot): Release {
    return { ...this.#release, generation: slot.generation }
  }

  #moveTo(state: SupervisorState, reason: string): void {
    this.#state = transition('supervisor', SUPERVISOR_LIFECYCLE, this.#state, state, reason)
    this.#emit({ type: 'stateChanged', state })
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect)
  }
}
