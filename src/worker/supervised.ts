// The runtime of a worker under our primary: puts the parts together and follows the primary's orders.
// It is preloaded (preload.ts) and never imported by the application; what that imports is hooks.ts.

import type { Worker } from 'node:cluster'
import { closeResourcesOnExit } from '../shared/close-on-exit.js'
import { setDialGate } from '../shared/dial-gate.js'
import { setLeaseProvider } from '../shared/lease-provider.js'
import type { ForcedEnd, PrimaryMessage, ReadyBy } from '../shared/protocol.js'
import { onResourceChange, resourcesNewestFirst } from '../shared/resources.js'
import { onSecrets } from '../shared/secrets.js'
import { settledWithin } from '../shared/settled-within.js'
import { VERSION } from '../shared/version.js'
import type { WorkerStartup } from '../shared/worker-environment.js'
import { farewellOf } from './app-farewell.js'
import { Connections } from './connections.js'
import { DialAsks } from './dial-asks.js'
import { Drain } from './drain.js'
import { measureEventLoopDelay } from './event-loop-delay.js'
import { reportUncaught } from './last-words.js'
import { leaveAtOnce } from './leave-at-once.js'
import { Listeners } from './listeners.js'
import { Outgoing } from './outgoing.js'
import { PrimaryChannel } from './primary-channel.js'
import { Readiness } from './readiness.js'
import { setRuntime } from './runtime-slot.js'
import { ShutdownHooks } from './shutdown-hooks.js'
import { type StopSignal, StopSignals } from './stop-signals.js'
import { TreeLeases } from './tree-leases.js'

/** How long a primary may take to answer a reported signal before the worker drains by itself. */
const ORDER_PATIENCE = 500
/** How long it may take to answer in a drain that it gave no order for; what it handed over before has long come. */
const BARRIER_PATIENCE = 2_000
/** For a drain that nobody gave a budget: the default of `stopTimeout`. */
const OWN_BUDGET = 25_000
/** For the whole drain of an orphan: whoever comes next must not find us. */
const ORPHAN_BUDGET = 1_500
/** How often changed clients are reported at most. */
const REPORT_PAUSE = 50
/** How long leaving may wait for the channel to close once everything else is done. */
const FAREWELL_PATIENCE = 400

export const installRuntime = (worker: Worker, startup: WorkerStartup): void => {
  new SupervisedWorker(worker, startup)
}

class SupervisedWorker {
  readonly #worker: Worker
  readonly #channel: PrimaryChannel
  readonly #dials: DialAsks
  readonly #leases: TreeLeases
  readonly #outgoing: Outgoing
  readonly #connections = new Connections()
  readonly #listeners: Listeners
  readonly #hooks = new ShutdownHooks()
  readonly #signals: StopSignals
  readonly #readiness: Readiness
  readonly #drain: Drain
  readonly #eventLoopDelay = measureEventLoopDelay()
  #signal: NodeJS.Signals | null = null
  #patience: NodeJS.Timeout | undefined
  #isOrdered = false
  #isLeaving = false
  #isReportPending = false

  constructor(
    worker: Worker,
    { slot, slotOfAll = slot, generation, readiness, requestGuard = 'warn', supervisor }: WorkerStartup,
  ) {
    this.#worker = worker
    this.#channel = new PrimaryChannel((message) => this.#ordered(message))
    this.#outgoing = new Outgoing(
      requestGuard,
      (report) => void this.#channel.tell({ type: 'connectInRequest', report }),
    )
    this.#dials = new DialAsks({ tell: (message) => this.#channel.tell(message) })
    this.#leases = new TreeLeases({
      tell: (message) => void this.#channel.tell({ type: 'lease', message }),
      mayDial: (origin) => this.#dials.mayDial(origin),
      slot: slotOfAll,
      supervisor,
    })
    this.#readiness = new Readiness(readiness, (by) => this.#isReady(by))
    this.#listeners = new Listeners({
      found: (server) => {
        this.#connections.watch(server)
        this.#readiness.listenCalled()
      },
      listening: (address) => {
        void this.#channel.tell({ type: 'listening', address })
        this.#readiness.sign('listening')
      },
    })
    this.#signals = new StopSignals(['SIGTERM', 'SIGINT', 'SIGHUP'], (signal) => this.#signalled(signal))
    // SIGUSR1 would open an inspector, SIGUSR2 would end the process; the app's own listeners run as ever.
    process.on('SIGUSR1', () => {})
    process.on('SIGUSR2', () => {})
    this.#drain = new Drain({
      listeners: this.#listeners,
      connections: this.#connections,
      hooks: this.#hooks,
      farewell: () => farewellOf(this.#signals),
      barrier: () => this.#barrier(),
      release: () => process.channel?.unref(),
      leave: (forced) => void this.#leave(forced),
    })
    worker.on('disconnect', () => this.#disconnected())
    reportUncaught((text) => void this.#channel.tell({ type: 'fault', text }))
    closeResourcesOnExit()
    setDialGate((dial) => this.#dials.pass(dial))
    setLeaseProvider(this.#leases.provider)
    onResourceChange(() => this.#reportSoon())
    setRuntime({
      worker: Object.freeze({ slot, generation, isSupervised: true }),
      ready: () => this.#readiness.sign('ready()'),
      onShutdown: (hook) => this.#hooks.add(hook),
      onDrain: (listener) => this.#hooks.addDrainListener(listener),
      waitUntil: (work) => {
        this.#outgoing.outlivesRequest()
        this.#hooks.waitUntil(work)
      },
    })
    void this.#channel.tell({ type: 'hello', version: VERSION })
    onSecrets((values) => void this.#channel.tell({ type: 'secrets', values }))
  }

  /** Whoever is ready may be handed a connection in the next moment. */
  #isReady(by: ReadyBy): void {
    const tell = (): void => {
      if (!this.#drain.isDraining) void this.#channel.tell({ type: 'ready', by })
    }
    const { prepared } = this.#leases
    if (prepared === null) tell()
    else void prepared.then(tell)
  }

  #ordered(message: Exclude<PrimaryMessage, { type: 'barrier' }>): void {
    switch (message.type) {
      case 'drain':
        this.#isOrdered = true
        clearTimeout(this.#patience)
        return this.#drain.start({ signal: this.#signal, reason: message.reason }, message.budget)
      case 'hold':
        return clearTimeout(this.#patience)
      case 'leave':
        return this.#leaveAtOnce()
      case 'askReport':
        return this.#report(message.id)
      case 'askSockets':
        return void this.#channel.tell({ type: 'sockets', id: message.id, sockets: this.#outgoing.sockets() })
      case 'askBeat':
        return void this.#channel.tell({ type: 'beat' })
      case 'lease':
        return this.#leases.received(message.message)
      case 'mayDial':
      case 'dialLater':
        return this.#dials.answered(message)
    }
  }

  /** A primary that is stopped or blocked must not keep us from closing what we have. */
  async #barrier(): Promise<void> {
    const answered = this.#channel.barrier()
    if (this.#isOrdered) await answered
    else await settledWithin(answered, BARRIER_PATIENCE)
  }

  /** The decision is the primary's, which most likely got the same signal; see stop-signals.ts. */
  #signalled(signal: StopSignal): void {
    const isRepeated = this.#signal !== null
    this.#signal ??= signal
    if (this.#drain.isDraining) {
      if (this.#drain.isOverdue || (isRepeated && !this.#isOrdered)) this.#leaveAtOnce()
      return
    }
    void this.#channel.tell({ type: 'signalled', signal })
    if (isRepeated) return
    this.#patience = setTimeout(
      () => this.#drain.start({ signal, reason: 'signal' }, OWN_BUDGET),
      ORDER_PATIENCE,
    )
  }

  /** The channel is closed: at the end of our own drain, or because the primary is gone. */
  #disconnected(): void {
    // Inside this event, or Node exits at once: no Close frame would be sent.
    this.#worker.exitedAfterDisconnect = true
    if (this.#isLeaving) process.exit(0)
    clearTimeout(this.#patience)
    this.#channel.closed()
    this.#dials.closed()
    this.#leases.closed()
    this.#drain.start({ signal: this.#signal, reason: 'orphaned' }, ORPHAN_BUDGET)
  }

  /**
   * Leaves through the cluster's own farewell and exits only when the channel is closed: what has been written to it
   * has then been read.
   */
  async #leave(forced: ForcedEnd): Promise<void> {
    if (this.#isLeaving) return
    this.#isLeaving = true
    setTimeout(() => process.exit(0), FAREWELL_PATIENCE)
    if (!this.#worker.isConnected()) process.exit(0)
    process.channel?.ref()
    await this.#channel.tell({ type: 'drained', forced })
    if (this.#worker.isConnected()) this.#worker.disconnect()
    else process.exit(0)
  }

  #leaveAtOnce(): void {
    this.#listeners.refuse()
    leaveAtOnce(() => process.exit(0))
  }

  #report(id: number | null): void {
    const { connections, requests } = this.#connections.traffic()
    void this.#channel.tell({
      type: 'report',
      id,
      report: {
        eventLoopDelayMs: this.#eventLoopDelay(),
        connections,
        inFlight: requests,
        clients: resourcesNewestFirst().map((resource) => resource.report()),
        waitingFor: this.#drain.isDraining ? this.#drain.waitingFor() : this.#readiness.waitingFor(),
        requestGuard: this.#outgoing.connectsInRequests(),
      },
    })
  }

  #reportSoon(): void {
    if (this.#isReportPending) return
    this.#isReportPending = true
    setTimeout(() => {
      this.#isReportPending = false
      this.#report(null)
    }, REPORT_PAUSE).unref()
  }
}
