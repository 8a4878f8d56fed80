// What becomes of one worker, from its fork to its exit, and of the slot that relies on it: readiness, taking over,
// crashes and replacements. Pure, on the board. Changes that somebody asked for are src/primary/change.ts.

import { formatDuration } from '../shared/duration.js'
import { describeBreach } from '../shared/limits.js'
import type { WorkerFailure } from '../shared/progress.js'
import type { Board } from './board.js'
import type { Command, Release } from './commands.js'
import { LimitBreaches } from './limit-breaches.js'
import { lackOfMemory, type ProcessEnd, type WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

/**
 * pm2 and systemd signal the whole process group: a worker may report its copy of a stop signal before the primary
 * sees its own. After this many ms it was meant for the worker alone.
 */
const GROUP_SIGNAL_GRACE = 100

/** For how long after `minUptime` an upstream may still throw a new holder out, or that one die of it, at the reload's cost. */
const SECOND_THOUGHTS = 1_000

export class SlotKeeper {
  readonly #board: Board
  /** How many workers may be starting at once when slots are filled. */
  readonly #startConcurrency: number
  readonly #limits: LimitBreaches
  #killed = 0

  constructor(board: Board, startConcurrency: number) {
    this.#board = board
    this.#startConcurrency = startConcurrency
    this.#limits = new LimitBreaches(board, (handle, reason) => this.#fail(handle, reason))
  }

  /** Workers for which the stop ladder got as far as SIGKILL. */
  get killed(): number {
    return this.#killed
  }

  handle(handle: WorkerHandle, command: Extract<Command, { id: number }>): void {
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
      case 'workerOverLimit':
        return this.#limits.breached(handle, command.breach)
      case 'leaseTrial':
        return this.#leaseTrial(handle, command.state, command.reason)
      case 'workerCondemned':
        handle.dropReason ??= command.reason
        return
      case 'workerExited':
        return this.#exited(handle, command.end)
    }
  }

  /** A timer of this worker has run out. */
  timer(handle: WorkerHandle, kind: string): void {
    if (kind === 'ready' && handle.state === 'starting') this.#notReady(handle)
    if (kind === 'probation') this.#probationPassed(handle)
    if (kind === 'signalled' && !this.#board.isStopping) this.#replaceFirst(handle)
    if (kind === 'terminate' && handle.isLeaving) this.#board.operations.terminate(handle)
    if (kind === 'kill' && handle.isLeaving) this.#board.operations.kill(handle)
  }

  /** Starts a worker in each slot that has none and is not waiting, and a replacement where one must go. */
  fillSlots(): void {
    this.#limits.advance()
    const { pool, operations, change, isStopping } = this.#board
    if (isStopping) return
    for (const slot of pool.slots) {
      if (change?.holds(slot) || slot.replacement !== null || slot.nextStartAt !== null) continue
      const isEmpty = slot.serving === null
      const needsReplacement = slot.serving?.mustGo === true && slot.serving.state === 'ready'
      if (!isEmpty && !needsReplacement) continue
      if (isEmpty && pool.startingCount >= this.#startConcurrency) continue
      if (!operations.mayFork()) return
      operations.start(slot, this.#releaseOf(slot), isEmpty ? 'serving' : 'replacement')
    }
  }

  #releaseOf({ generation }: { generation: number }): Release {
    const { change, release } = this.#board
    return change?.releaseOf(generation) ?? { ...release, generation }
  }

  // --- Coming ---------------------------------------------------------------------------------------------------

  #spawned(handle: WorkerHandle, pid: number): void {
    handle.pid = pid
    const { slot, generation } = handle
    this.#board.emit({ type: 'progress', progress: { event: 'workerStarting', slot, pid, generation } })
    // The fork could not be called off any more.
    if (handle.state === 'stopping') this.#board.operations.kill(handle)
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
    const { now, pool, change } = this.#board
    handle.moveTo('ready', by)
    handle.readyAt = now
    this.#board.emit({ type: 'clearTimer', key: `ready:${handle.id}` })
    this.#board.emit({
      type: 'setTimer',
      key: `probation:${handle.id}`,
      ms: this.#releaseOf(handle).minUptime,
    })
    const { slot: index, pid, generation } = handle
    const ms = Math.round(now - handle.askedAt)
    this.#board.emit({
      type: 'progress',
      progress: { event: 'workerReady', slot: index, pid, generation, by, ms },
    })
    const slot = pool.slot(index)
    if (slot?.serving === handle) change?.tookOver(slot, handle, false)
    if (slot?.replacement !== handle) return
    // Takes over after its probation, and if it can hold what is exclusive.
    if (change?.isCanary(slot)) return this.#board.emit({ type: 'tryLeases', id: handle.id })
    this.#takeOver(slot, handle, false)
  }

  #takeOver(slot: Slot, handle: WorkerHandle, isProved: boolean): void {
    const predecessor = slot.serving
    slot.serving = handle
    slot.replacement = null
    this.#board.emit({ type: 'admit', id: handle.id })
    slot.generation = handle.generation
    this.#board.change?.tookOver(slot, handle, isProved)
    if (predecessor !== null) this.#retire(predecessor)
  }

  #probationPassed(handle: WorkerHandle): void {
    const slot = this.#board.pool.slot(handle.slot)
    this.#board.emit({ type: 'trustWithLeases', id: handle.id })
    this.#board.change?.probationPassed(handle)
    if (slot?.replacement === handle && handle.state === 'ready') this.#takeOver(slot, handle, true)
  }

  /** Its probation begins anew when it has what is exclusive: what an upstream thinks of it may come after that. */
  #leaseTrial(handle: WorkerHandle, state: 'trying' | 'passed' | 'failed', reason: string): void {
    if (handle.state !== 'ready' || this.#board.pool.slot(handle.slot)?.replacement !== handle) return
    const key = `probation:${handle.id}` as const
    if (state === 'failed') return this.#fail(handle, reason)
    this.#board.emit({ type: 'clearTimer', key })
    if (state === 'trying') return
    const ms = this.#releaseOf(handle).minUptime + SECOND_THOUGHTS
    this.#board.emit({ type: 'setTimer', key, ms })
  }

  // --- Going ----------------------------------------------------------------------------------------------------

  #retire(handle: WorkerHandle): void {
    this.#board.retire(handle, this.#board.change?.reason ?? 'replace')
  }

  #notReady(handle: WorkerHandle): void {
    const limit = formatDuration(this.#releaseOf(handle).readyTimeout)
    const waited =
      handle.readyBy === 'clients'
        ? 'its clients are open, but it does not listen as its predecessor does (call ready() if that is meant)'
        : "none of these came: a listening server, ready(), process.send('ready'), all guarded clients open"
    this.#fail(handle, `was not ready within ${limit}: ${waited}`)
  }

  /** Something is wrong with it, and it cannot wait for a replacement: it goes, and the slot deals with it as with a crash. */
  #fail(handle: WorkerHandle, reason: string): void {
    handle.dropReason = reason
    this.#retire(handle)
    this.#lost(handle, reason, { code: null, signal: null })
  }

  #signalled(handle: WorkerHandle): void {
    if (!handle.isServing) return
    this.#board.emit({ type: 'send', id: handle.id, message: { type: 'hold' } })
    // What it got was meant for everybody, and its order follows when `shutdownDelay` is over.
    if (this.#board.isStopping) return
    this.#board.emit({ type: 'setTimer', key: `signalled:${handle.id}`, ms: GROUP_SIGNAL_GRACE })
  }

  /** A serving worker is not fit to go on: it is replaced start first, and as often as if it had crashed. */
  #misbehaved(handle: WorkerHandle, reason: string): void {
    if (!handle.isServing || handle.mustGo) return
    handle.dropReason ??= reason
    // Nothing is started in its place any more.
    if (this.#board.isStopping) return this.#retire(handle)
    const slot = this.#board.pool.slot(handle.slot)
    const isTrial = slot?.replacement === handle || this.#board.change?.isOnProbation(handle) === true
    if (handle.state === 'starting' || isTrial) return this.#fail(handle, reason)
    this.#replaceFirst(handle)
    if (slot !== undefined) this.#board.restartLater(slot, null, reason)
  }

  /** Its replacement is started first; where one is under way already, it goes now. */
  #replaceFirst(handle: WorkerHandle): void {
    if (!handle.isServing) return
    const slot = this.#board.pool.slot(handle.slot)
    if (slot?.replacement === handle) return this.#fail(handle, 'got a stop signal of its own')
    handle.mustGo = true
    if (slot?.serving !== handle || this.#board.change?.holds(slot)) this.#retire(handle)
  }

  #exited(handle: WorkerHandle, end: ProcessEnd): void {
    const wasLeaving = handle.isLeaving
    const reason =
      wasLeaving && handle.dropReason === null
        ? describeLeave(handle, end)
        : handle.describeEnd(end, this.#board.now)
    this.#board.operations.clearTimers(handle)
    handle.moveTo('exited', reason)
    this.#board.pool.remove(handle)
    if (handle.wasKilled) this.#killed++
    const { slot, generation, pid } = handle
    if (pid !== null || end.failure !== undefined) {
      const { code, signal } = end
      const worker = { slot, pid: pid ?? 0, generation }
      this.#board.emit({
        type: 'progress',
        progress: { event: 'workerExited', ...worker, code, signal, reason, expected: wasLeaving },
      })
    }
    if (handle.overLimit !== null && wasLeaving) this.#noteReplaced(handle, reason, end)
    if (wasLeaving) {
      this.#vacate(handle)
      this.#board.change?.probationPassed(handle)
    } else this.#lost(handle, reason, end)
  }

  /** Not lost, but whoever looks at the slot wants to know why its worker is a new one. */
  #noteReplaced(
    { slot: index, overLimit }: WorkerHandle,
    reason: string,
    { code, signal }: ProcessEnd,
  ): void {
    const slot = this.#board.pool.slot(index)
    if (slot === undefined || overLimit === null) return
    slot.lastExit = {
      code,
      signal,
      reason: `replaced, ${describeBreach(overLimit)}; ${reason}`,
      at: Date.now(),
    }
  }

  /** A worker went as it was told to. */
  #vacate(handle: WorkerHandle): void {
    const slot = this.#board.pool.slot(handle.slot)
    if (slot?.serving === handle) slot.serving = null
    if (slot?.replacement === handle) slot.replacement = null
    // Whoever was to take over later is all that the slot has now.
    if (slot?.serving === null && slot.replacement !== null)
      this.#board.emit({ type: 'admit', id: slot.replacement.id })
  }

  /** A worker is lost to its slot, by its own fault or ours. */
  #lost(handle: WorkerHandle, reason: string, { code, signal }: ProcessEnd): void {
    const slot = this.#board.pool.slot(handle.slot)
    if (slot === undefined || (slot.serving !== handle && slot.replacement !== handle)) return
    slot.lastExit = { code, signal, reason, at: Date.now() }
    const wasReplacement = slot.replacement === handle
    this.#vacate(handle)
    if (this.#board.isStopping) return
    const failure: WorkerFailure = { slot: slot.index, pid: handle.pid, reason }
    if (this.#board.change?.lost(slot, handle, failure, wasReplacement)) return
    // It should have relieved a worker that must go; that one goes now, and the slot starts afresh. Who is over a limit
    // serves well enough until there is a better one.
    if (!wasReplacement || slot.serving?.overLimit) this.#board.restartLater(slot, signal, reason)
    else if (slot.serving !== null) this.#retire(slot.serving)
  }
}

const describeLeave = (handle: WorkerHandle, end: ProcessEnd): string => {
  if (handle.wasKilled) return `killed: did not leave within its time (${handle.drainReason ?? 'stop'})`
  if (end.signal !== null) return `ended by ${end.signal} while it drained${lackOfMemory(end)}`
  return handle.forcedEnds === 0 ? 'drained' : `drained, ${handle.forcedEnds} ended by force`
}
