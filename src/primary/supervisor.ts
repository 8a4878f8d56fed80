// The primary's shell: one queue of commands in front of the core, and the carrying out of its effects.
// What is decided, and why, stands in src/primary/supervisor-core.ts; nothing is decided here.

import { EventEmitter } from 'node:events'
import { availableParallelism } from 'node:os'
import { type ForkOccasion, inForkWindow } from '../fork/fork-window.js'
import type { LogBuffer, LogLine } from '../observe/log-buffer.js'
import type { Output } from '../observe/output.js'
import { monotonicNow } from '../shared/clock.js'
import { messageOf } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { PrimaryMessage, WorkerMessage } from '../shared/protocol.js'
import { relaysBeside, roleOf } from '../shared/relay-role.js'
import { MAX_SECRET } from '../shared/secrets.js'
import type { Settings } from '../shared/settings.js'
import type { Census, SupervisorState, SupervisorStatus } from '../shared/status.js'
import type { AuditDesk } from './audit-desk.js'
import { countWorkers } from './change.js'
import { ChangeRequests } from './change-requests.js'
import { CommandTimers } from './command-timers.js'
import type { ChangeOrder, Command, Effect, ForkOrder } from './commands.js'
import type { Controllable, StopRequest } from './controllable.js'
import { describeProgress } from './describe-progress.js'
import { DialDesk } from './dial-desk.js'
import { describeForkFailure } from './fork-failure.js'
import { ForkQueue } from './fork-queue.js'
import { Generations } from './generations.js'
import { LeaseDesk } from './lease-desk.js'
import type { ServiceReadiness } from './service-readiness.js'
import { SupervisorCore } from './supervisor-core.js'
import { Watches } from './watches.js'
import type { ProcessEnd } from './worker-handle.js'
import { WorkerProcess } from './worker-process.js'

export interface SupervisorOptions {
  settings: Settings
  /** Finds out what script and configuration name now; called for each rolling restart. */
  resolve: () => Promise<Settings>
  output: Output
  logs: LogBuffer
  /** Told after each change of state or workers, so that a record of the run can be kept. */
  onRunChanged: (run: { state: SupervisorState; pids: number[]; goneBy: number | null }) => void
}

interface SupervisorEvents {
  progress: [Progress]
  stateChanged: [SupervisorState]
  /** A stop does not wait any longer. */
  drainBegun: []
}

/** How many workers may be starting at once when slots are filled. */
export const startConcurrency = (): number => Math.max(2, availableParallelism())

export class Supervisor extends EventEmitter<SupervisorEvents> implements Controllable {
  /** Settles when all workers were ready for the first time; null if the supervisor stopped before. */
  readonly started: Promise<true | null>
  /** Settles when no worker is left. */
  readonly ended: Promise<OperationResult>
  readonly logs: LogBuffer
  readonly #core: SupervisorCore
  readonly #output: Output
  readonly #resolve: () => Promise<Settings>
  readonly #onRunChanged: SupervisorOptions['onRunChanged']
  readonly #queue: Command[] = []
  #isDeciding = false
  readonly #processes = new Map<number, WorkerProcess>()
  readonly #generations: Generations
  /** How many slots run a relay beside the app, decided at the start. */
  readonly #relays: number
  readonly #timers = new CommandTimers((key, ms) => {
    this.#debug(() => `timer ${key} after ${ms} ms`, { event: 'timerFired', timer: key, ms })
    this.#enqueue({ type: 'timer', key })
  })
  readonly #forks = new ForkQueue({
    inWindow: (occasion, first, fork) => this.#inWindow(occasion, first, fork),
    fork: (order) => this.#forkOne(order),
    cancelled: ({ id }) => this.#exited(id, { code: null, signal: null }),
    reason: () => this.#core.state,
  })
  readonly #changes = new ChangeRequests()
  readonly #dials: DialDesk
  readonly #leases: LeaseDesk
  readonly #watches: Watches
  #goneBy: number | null = null
  #pulses = 0
  #tellStarted: (value: true | null) => void = () => {}
  #tellEnded: (result: OperationResult) => void = () => {}

  constructor({ settings, resolve, output, logs, onRunChanged }: SupervisorOptions) {
    super()
    this.logs = logs
    this.#output = output
    this.#resolve = resolve
    this.#onRunChanged = onRunChanged
    this.#relays = relaysBeside(settings)
    this.#generations = new Generations(this.#relays)
    this.#core = new SupervisorCore({
      release: this.#generations.begin(1, settings),
      startConcurrency: startConcurrency(),
      random: Math.random,
    })
    this.#dials = new DialDesk({
      rate: () => this.#generations.of(this.#core.generation).connectRate,
      tell: (id, message) => this.#processes.get(id)?.tell(message),
    })
    this.#leases = new LeaseDesk({
      supervisor: settings.name,
      tell: (id, message, onWritten) => {
        const worker = this.#processes.get(id)
        if (worker === undefined) onWritten?.()
        else worker.tell({ type: 'lease', message }, onWritten)
      },
      takeDialTurn: (origin) => this.#dials.takeTurn(origin),
      kill: (id, why) => this.#condemn(id, why),
      progress: (progress) => this.#progress(progress),
      trial: (id, state, reason) =>
        this.#enqueue({ type: 'leaseTrial', id, state, reason: this.#redact(reason) }),
    })
    this.#watches = new Watches({
      settings,
      core: this.#core,
      generations: this.#generations,
      relays: this.#relays,
      processes: this.#processes,
      output,
      enqueue: (command) => this.#enqueue(command),
      progress: (progress) => this.#progress(progress),
      warn: (text, fields) => this.log('warn', text, fields),
      debug: (text, fields) => this.#debug(text, fields),
    })
    this.started = new Promise((resolve) => {
      this.#tellStarted = resolve
    })
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  start(): void {
    this.#enqueue({ type: 'start' })
  }

  get state(): SupervisorState {
    return this.#core.state
  }

  get readiness(): ServiceReadiness {
    return this.#core.readiness
  }

  census(): Census {
    const { slots, live } = this.#core.pool
    const ready = slots.filter(({ serving }) => serving?.state === 'ready').length
    return { generation: this.#core.generation, wanted: slots.length, ready, live: live.length }
  }

  /** Whether a command that comes now is decided, and the arbiter of leases has decided what was due. */
  answers(): boolean {
    const before = this.#pulses
    this.#enqueue({ type: 'pulse' })
    return this.#pulses > before && this.#leases.answers()
  }

  get audits(): AuditDesk {
    return this.#watches.audits
  }

  status(): Promise<SupervisorStatus> {
    return this.#watches.status()
  }

  async untilStarted(onProgress: (progress: Progress) => void = () => {}): Promise<OperationResult> {
    this.on('progress', onProgress)
    const started = await this.started
    this.off('progress', onProgress)
    if (started === null) return { ...(await this.ended), ok: false, exitCode: 5 }
    const { workers } = this.#generations.of(this.#core.generation)
    const message = `${countWorkers({ workers: workers + this.#relays, relays: this.#relays })} ready`
    return { ok: true, exitCode: 0, message, generation: this.#core.generation, failures: [] }
  }

  reload(onProgress?: (progress: Progress) => void): Promise<OperationResult> {
    return this.#change({ kind: 'reload' }, onProgress)
  }

  restart(onProgress?: (progress: Progress) => void): Promise<OperationResult> {
    return this.#change({ kind: 'restart' }, onProgress)
  }

  scale(
    workers: number | { by: number },
    onProgress?: (progress: Progress) => void,
  ): Promise<OperationResult> {
    const order: ChangeOrder =
      typeof workers === 'number' ? { kind: 'scale', to: workers } : { kind: 'scale', by: workers.by }
    return this.#change(order, onProgress)
  }

  async handOff(client: string, slot: number | null): Promise<OperationResult> {
    const { ok, text } = await this.#leases.handOver(client, slot)
    const message = this.#redact(text)
    return { ok, exitCode: ok ? 0 : 5, message, generation: this.#core.generation, failures: [] }
  }

  #change(order: ChangeOrder, onProgress?: (progress: Progress) => void): Promise<OperationResult> {
    const { request, result } = this.#changes.open(onProgress)
    this.#enqueue({ type: 'change', request, order })
    return result
  }

  async stop(
    { now = false, repeated = false, reason = 'stop' }: StopRequest = {},
    onProgress?: (progress: Progress) => void,
  ): Promise<OperationResult> {
    if (onProgress !== undefined) this.on('progress', onProgress)
    this.#enqueue({ type: 'stop', reason, urgent: now, repeated })
    const result = await this.ended
    if (onProgress !== undefined) this.off('progress', onProgress)
    return result
  }

  get logLevel(): LogLevel {
    return this.#output.level
  }

  set logLevel(level: LogLevel) {
    const before = this.#output.level
    if (level === before) return
    // Told whichever of the two would not show it.
    this.#output.level = 'debug'
    this.log('info', `log level ${level}, was ${before}`, {
      event: 'logLevelChanged',
      from: before,
      to: level,
    })
    this.#output.level = level
  }

  /** @param fields the event that the line tells of, for programs. */
  log(level: LogLevel, text: string, fields?: LogLine['fields']): void {
    const stream = level === 'warn' || level === 'error' ? 'stderr' : 'stdout'
    const event = fields === undefined ? {} : { fields }
    this.#output.write({ at: Date.now(), source: 'supervisor', stream, level, text, ...event })
  }

  /** The text is made only where somebody wants it. */
  #debug(text: () => string, fields: NonNullable<LogLine['fields']>): void {
    if (this.#output.level === 'debug') this.log('debug', text(), fields)
  }

  /** Commands that come while one is decided wait for their turn: decisions never nest. */
  #enqueue(command: Command): void {
    this.#queue.push(command)
    if (this.#isDeciding) return
    this.#isDeciding = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const effect of this.#core.handle(next, monotonicNow())) this.#carryOut(effect)
      }
    } finally {
      this.#isDeciding = false
    }
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'fork':
        return this.#forks.add(effect.order)
      case 'cancelFork':
        return this.#forks.cancel(effect.id)
      case 'tryLeases':
        return this.#leases.tryOut(effect.id)
      case 'trustWithLeases':
        return this.#leases.trust(effect.id)
      case 'distrustGeneration':
        return this.#leases.distrust(effect.generation, effect.reason)
      case 'admit':
        return this.#processes.get(effect.id)?.admit()
      case 'send':
        return this.#send(effect.id, effect.message)
      case 'kill':
        return this.#processes.get(effect.id)?.signal(effect.signal)
      case 'setTimer':
        return this.#timers.set(effect.key, effect.ms)
      case 'clearTimer':
        return this.#timers.clear(effect.key)
      case 'progress':
        return this.#progress(effect.progress)
      case 'pulse':
        this.#pulses++
        return
      case 'stateChanged':
        this.emit('stateChanged', effect.state)
        return this.#runChanged()
      case 'started':
        return this.#tellStarted(true)
      case 'resolveRelease':
        void this.#resolveRelease(effect.generation)
        return
      case 'changeBegun':
        return this.#changes.begun(effect.requests)
      case 'changeEnded':
        return this.#changes.ended(effect.requests, effect.result)
      case 'drainBegun':
        this.emit('drainBegun')
        return
      case 'ended':
        return this.#end(effect.result)
    }
  }

  #progress(progress: Progress): void {
    if (progress.event === 'stopping' || progress.event === 'draining') {
      this.#goneBy = Date.now() + progress.budget
      this.#runChanged()
    }
    if (progress.event === 'workerReady') this.#watches.ready(progress.pid)
    const { level, text } = describeProgress(progress)
    this.log(level, text, { ...progress })
    this.#changes.tell(progress)
    this.emit('progress', progress)
  }

  /** What others say comes in without secrets, so that none can go out again: in a status, an event, a result. */
  #redact(text: string): string {
    return this.#output.redactor.text(text)
  }

  async #resolveRelease(generation: number): Promise<void> {
    try {
      const settings = await this.#resolve()
      this.#forgetUnusedGenerations()
      this.#enqueue({ type: 'releaseResolved', release: this.#generations.begin(generation, settings) })
    } catch (error) {
      this.#enqueue({ type: 'releaseRejected', message: this.#redact(messageOf(error)) })
    }
  }

  #forgetUnusedGenerations(): void {
    const { pool, generation } = this.#core
    const users = [...pool.live, ...pool.slots]
    this.#generations.keepOnly(new Set([generation, ...users.map((user) => user.generation)]))
  }

  // --- Forking --------------------------------------------------------------------------------------------------

  async #inWindow(occasion: ForkOccasion, { generation }: ForkOrder, fork: () => void): Promise<void> {
    const { forkWindowTimeout: timeout, beforeFork, afterFork } = this.#generations.of(generation)
    const warn = (text: string): void => this.log('warn', text)
    const openedAt = monotonicNow()
    const slots = occasion.slots.join(', ')
    this.#debug(() => `fork window opens for slots ${slots}`, { event: 'forkWindowOpening', ...occasion })
    const look = (signal: AbortSignal): Promise<void> => this.#watches.inWindow(signal)
    await inForkWindow(occasion, { timeout, beforeFork, afterFork, warn, look }, fork)
    const ms = Math.round(monotonicNow() - openedAt)
    this.#debug(() => `fork window closed after ${ms} ms`, { event: 'forkWindowClosed', ...occasion, ms })
  }

  #forkOne(order: ForkOrder): void {
    const { id, slot, generation } = order
    try {
      const settings = this.#generations.of(generation)
      const worker = new WorkerProcess(order, settings, {
        message: (message) => this.#workerSaid(id, message),
        saidReady: () => {
          if (settings.readiness !== 'listening' && roleOf(slot, this.#relays, settings) === 'app') {
            this.#enqueue({ type: 'workerReady', id, by: "process.send('ready')" })
          }
        },
        misbehaved: (reason) => {
          const who = { slot, pid: worker.pid, generation }
          this.#debug(() => `worker ${slot} ${reason}`, { event: 'workerMisbehaved', ...who, reason })
          this.#enqueue({ type: 'workerMisbehaved', id, reason })
        },
        exited: (end) => this.#exited(id, end),
        beforeCut: { reach: MAX_SECRET, change: (text) => this.#redact(text) },
        output: (stream, text) =>
          this.#output.write({
            at: Date.now(),
            source: 'worker',
            stream,
            slot,
            pid: worker.pid,
            generation,
            text,
          }),
      })
      if (worker.pid === 0) return // its 'error' follows, and says why
      this.#processes.set(id, worker)
      this.#watches.forked(id)
      this.#leases.joined(id, { slot, pid: worker.pid, generation })
      this.#runChanged()
      this.#enqueue({ type: 'spawned', id, pid: worker.pid })
    } catch (error) {
      this.#exited(id, { code: null, signal: null, failure: this.#redact(describeForkFailure(error)) })
    }
  }

  // --- Workers --------------------------------------------------------------------------------------------------

  #workerSaid(id: number, message: WorkerMessage): void {
    this.#debugMessage(id, message)
    if (this.#watches.said(id, message)) return
    switch (message.type) {
      case 'ready':
        return this.#enqueue({ type: 'workerReady', id, by: message.by })
      case 'listening':
        return this.#enqueue({ type: 'workerListening', id, address: message.address })
      case 'signalled':
        return this.#enqueue({ type: 'workerSignalled', id, signal: message.signal })
      case 'drained':
        return this.#enqueue({ type: 'workerDrained', id, forced: message.forced })
      case 'fault':
        return this.#enqueue({ type: 'workerFault', id, text: this.#redact(message.text) })
      case 'secrets':
        return this.#output.redactor.add(message.values, 'told')
      case 'askBarrier':
        return this.#answerBarrier(id, { type: 'barrier', id: message.id })
      case 'askDial':
        // Of a worker that has exited something may still be read.
        if (this.#processes.has(id)) this.#dials.asked(id, message.id, message.origin)
        return
      case 'withdrawDial':
        return this.#dials.withdrawn(id, message.id)
      case 'lease':
        return this.#leases.received(id, message.message)
    }
  }

  #send(id: number, message: PrimaryMessage): void {
    this.#processes.get(id)?.tell(message)
    if (message.type === 'drain' || message.type === 'leave') this.#leases.leaving(id)
  }

  /** It is silent, and holds what others wait for: nobody gets it before this process is gone. */
  #condemn(id: number, why: string): void {
    this.#enqueue({ type: 'workerCondemned', id, reason: `was killed: ${why}` })
    this.#processes.get(id)?.signal('SIGKILL')
  }

  /** Without reports, which come often, and never with what a message holds of values. */
  #debugMessage(id: number, { type }: WorkerMessage): void {
    const pid = this.#processes.get(id)?.pid
    if (type === 'report' || type === 'lease' || type === 'beat') return
    this.#debug(() => `worker process ${pid ?? '?'} says ${type}`, { event: 'workerMessage', id, pid, type })
  }

  /** On the channel that hands sockets over, so that the answer comes after every socket handed over before. */
  #answerBarrier(id: number, message: PrimaryMessage): void {
    this.#processes.get(id)?.tell(message)
  }

  #exited(id: number, how: ProcessEnd): void {
    const end = this.#watches.exited(id, how)
    this.#processes.delete(id)
    this.#forks.forget(id)
    this.#dials.forget(id)
    this.#enqueue({ type: 'workerExited', id, end })
    // Behind the exit, which says more about a failed trial than that a lease was lost.
    this.#leases.exited(id)
    this.#runChanged()
  }

  #runChanged(): void {
    const pids = [...this.#processes.values()].map(({ pid }) => pid)
    this.#onRunChanged({ state: this.#core.state, pids, goneBy: this.#goneBy })
  }

  #end(result: OperationResult): void {
    this.#timers.clearAll()
    this.#watches.end()
    this.#dials.end()
    this.#leases.end()
    this.#tellStarted(null)
    this.#tellEnded(result)
  }
}
