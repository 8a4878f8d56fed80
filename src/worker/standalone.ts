// The same drain outside the supervisor: a plain script, a process of pm2, a worker of somebody else's cluster.
// Importing it only watches servers; signals are touched with the first client or onShutdown(), and everything is
// undone when the process becomes a primary (src/shared/process-owner.ts). Under our primary it is not used.
//
// How the process ends afterwards: where the application listens to stop signals itself, its listeners decide and
// exit code 0 follows if they do not. Elsewhere a signal is raised again with its default action, so whoever started
// the process sees what it would see without us (shells, `128 + n`). Under pm2, after a `shutdown` message and for
// cluster workers the exit code is 0.

import cluster, { type Worker } from 'node:cluster'
import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { closeResourcesOnExit } from '../shared/close-on-exit.js'
import { isUnderPm2, killTimeoutOfPm2 } from '../shared/pm2-variables.js'
import { claimProcess } from '../shared/process-owner.js'
import { onResourceChange, resourcesNewestFirst } from '../shared/resources.js'
import { farewellOf } from './app-farewell.js'
import { Connections } from './connections.js'
import { Drain } from './drain.js'
import { leaveAtOnce } from './leave-at-once.js'
import { Listeners } from './listeners.js'
import type { Runtime, ShutdownReason } from './runtime-slot.js'
import { ShutdownHooks } from './shutdown-hooks.js'
import { type StopSignal, StopSignals } from './stop-signals.js'

/** The default of `stopTimeout`; pm2 gives what its `kill_timeout` says. */
const BUDGET = 25_000
/** pm2 kills without a warning: be gone before. */
const PM2_MARGIN = 100
const ORPHAN_BUDGET = 1_500
/** How long the way out may take once everything else is done. */
const EXIT_PATIENCE = 100

export const standaloneRuntime = (): Runtime => {
  const hooks = new ShutdownHooks()
  if (isMainThread) new StandaloneProcess(hooks)
  return {
    worker: Object.freeze({ slot: 0, generation: 0, isSupervised: false }),
    ready: () => {
      if (isUnderPm2() && process.connected) process.send?.('ready', undefined, undefined, () => {})
    },
    onShutdown: (hook) => hooks.add(hook),
    onDrain: (listener) => hooks.addDrainListener(listener),
    waitUntil: (work) => hooks.waitUntil(work),
  }
}

class StandaloneProcess {
  readonly #hooks: ShutdownHooks
  readonly #connections = new Connections()
  readonly #listeners: Listeners
  readonly #undo: (() => void)[] = []
  #drain: Drain | null = null
  #signals: StopSignals | null = null
  #signal: StopSignal | null = null
  #isToldByPm2 = false

  constructor(hooks: ShutdownHooks) {
    this.#hooks = hooks
    this.#listeners = new Listeners({
      found: (server) => this.#connections.watch(server),
      listening: () => {},
    })
    this.#undo.push(
      () => this.#listeners.uninstall(),
      () => this.#connections.uninstall(),
      onResourceChange(() => this.#install()),
      hooks.onFirst(() => this.#install()),
    )
    if (resourcesNewestFirst().length > 0) this.#install()
  }

  #install(): void {
    if (this.#drain !== null || !claimProcess(() => this.#uninstall())) return
    const signals = new StopSignals(['SIGTERM', 'SIGINT'], (signal) => this.#signalled(signal))
    this.#signals = signals
    this.#drain = new Drain({
      listeners: this.#listeners,
      connections: this.#connections,
      hooks: this.#hooks,
      // An application that listens to pm2's message itself has heard it already.
      farewell: () =>
        this.#isToldByPm2 && process.listenerCount('message') > 1 ? null : farewellOf(signals),
      barrier: async () => {},
      release: () => process.channel?.unref(),
      leave: () => this.#leave(),
    })
    this.#undo.push(() => signals.uninstall(), closeResourcesOnExit(), this.#listenToPm2())
    const { worker } = cluster
    if (worker) this.#undo.push(this.#listenToCluster(worker))
  }

  #uninstall(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  #listenToPm2(): () => void {
    const onMessage = (message: unknown): void => {
      if (message !== 'shutdown') return
      this.#isToldByPm2 = true
      this.#start('message', ownBudget())
    }
    process.on('message', onMessage)
    // A listener keeps the channel, and with it the process, alive; ours must not.
    countReference('unrefCounted')
    return () => {
      countReference('refCounted')
      process.removeListener('message', onMessage)
    }
  }

  #listenToCluster(worker: Worker): () => void {
    const onDisconnect = (): void => {
      // Inside this event, or Node exits at once.
      worker.exitedAfterDisconnect = true
      this.#start('orphaned', ORPHAN_BUDGET)
    }
    worker.on('disconnect', onDisconnect)
    return () => void worker.removeListener('disconnect', onDisconnect)
  }

  #signalled(signal: StopSignal): void {
    if (this.#signal !== null) return leaveAtOnce(() => this.#exit())
    this.#signal = signal
    this.#start('signal', ownBudget())
  }

  #start(reason: ShutdownReason, budget: number): void {
    this.#drain?.start({ signal: this.#signal, reason }, budget)
  }

  #leave(): void {
    const { worker } = cluster
    if (!worker?.isConnected()) return this.#exit()
    // As in supervised.ts: exit only when the channel is closed.
    worker.once('disconnect', () => this.#exit())
    setTimeout(() => this.#exit(), EXIT_PATIENCE)
    worker.disconnect()
  }

  #exit(): void {
    const signal = this.#signal
    const isOurs = signal !== null && this.#signals?.appListeners(signal).length === 0
    if (signal === null || !isOurs || isUnderPm2() || cluster.isWorker) process.exit(0)
    for (const resource of resourcesNewestFirst()) resource.closeSync()
    this.#uninstall()
    process.kill(process.pid, signal)
    // Where the signal has no default action (PID 1 of a container) the conventional status says the same.
    setTimeout(() => process.exit(128 + constants.signals[signal]), EXIT_PATIENCE)
  }
}

const ownBudget = (): number => (isUnderPm2() ? Math.max(1, killTimeoutOfPm2() - PM2_MARGIN) : BUDGET)

/** Node's own count of what keeps the channel alive; not documented, so its absence is no error. */
const countReference = (method: 'refCounted' | 'unrefCounted'): void => {
  const { channel } = process
  if (!channel) return
  const count: unknown = Reflect.get(channel, method)
  if (typeof count === 'function') Reflect.apply(count, channel, [])
}
