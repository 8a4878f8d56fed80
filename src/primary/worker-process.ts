// One worker process as the primary acts on it: fork, tell, signal, listen, read its output.
// What is known about it is src/primary/worker-handle.ts; nothing is decided here, everything becomes a command.

import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { type Cut, LineSplitter } from '../observe/line-splitter.js'
import { isPacked } from '../shared/packed.js'
import { type PrimaryMessage, toFrame, type WorkerMessage, workerMessageIn } from '../shared/protocol.js'
import { isRelayAlone, RELAY_SCRIPT, roleOf } from '../shared/relay-role.js'
import type { Settings } from '../shared/settings.js'
import type { ForkOrder } from './commands.js'
import { describeForkFailure } from './fork-failure.js'
import { guardIpc } from './guard-ipc.js'
import { HandOffs } from './hand-offs.js'
import { workerEnvironment } from './worker-environment.js'
import type { ProcessEnd } from './worker-handle.js'

export interface WorkerListener {
  message(message: WorkerMessage): void
  /** `process.send('ready')` of the application, as pm2 knows it. */
  saidReady(): void
  misbehaved(reason: string): void
  exited(end: ProcessEnd): void
  output(stream: 'stdout' | 'stderr', text: string): void
  /** What a line is cut by when it is too long for one; see line-splitter.ts. */
  readonly beforeCut: Cut
}

/** What node is told, so that the runtime of a worker is there before the first line of the script. */
const runtimeArguments = (): string[] =>
  isPacked(process.env)
    ? ['--require', fileURLToPath(new URL('../packed/preload.cjs', import.meta.url))]
    : ['--import', new URL('../worker/preload.js', import.meta.url).href]

export class WorkerProcess {
  readonly pid: number
  readonly #worker: Worker
  readonly #handOffs: HandOffs
  /** What was said before its runtime listened: a message of ours that nobody listens to is not kept by Node. */
  #untold: PrimaryMessage[] | null = []

  /** Forks. Throws what the kernel answers when it has no process left to give. */
  constructor(order: ForkOrder, settings: Settings, listener: WorkerListener) {
    // A relay's callers come by a connection each, and it is nobody's harm which worker takes one, also one on probation:
    // they are accepted where they are answered, without a way through the primary that costs more than the answer.
    cluster.schedulingPolicy = isRelayAlone(settings) ? cluster.SCHED_NONE : cluster.SCHED_RR
    const isRelay = roleOf(order.slot, order.relays, settings) === 'relay'
    cluster.setupPrimary({
      exec: isRelay ? RELAY_SCRIPT : settings.script,
      args: isRelay ? [] : settings.args,
      // Not the primary's own execArgv: what the supervisor was started with (--inspect!) is not the workers'. Nor is a
      // relay given the loaders of the app.
      execArgv: [...inspectorOff(), ...runtimeArguments(), ...(isRelay ? [] : settings.nodeArgs)],
      cwd: settings.cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
    })
    this.#worker = cluster.fork(workerEnvironment(order, settings))
    const child = this.#worker.process
    // Without these listeners a send to a dying worker, or a failed fork, would end the primary.
    let failure: string | undefined
    let hasEnded = false
    const end = (code: number | null, signal: string | null): void => {
      if (hasEnded) return
      hasEnded = true
      listener.exited(
        failure !== undefined && child.pid === undefined ? { code, signal, failure } : { code, signal },
      )
    }
    this.#worker.on('error', (error) => {
      failure ??= describeForkFailure(error)
      if (child.pid === undefined) end(null, null)
    })
    child.on('exit', end)
    this.#handOffs = new HandOffs(child, !order.isHeld)
    guardIpc(child, (reason) => listener.misbehaved(reason))
    child.on('internalMessage', (raw: unknown) => {
      const message = workerMessageIn(raw)
      if (message === 'malformed') return listener.misbehaved('sent a malformed message')
      if (message?.type === 'hello') this.#greeted()
      if (message !== undefined) listener.message(message)
    })
    this.#worker.on('message', (message: unknown) => {
      if (message === 'ready') listener.saidReady()
    })
    for (const name of ['stdout', 'stderr'] as const) {
      const lines = new LineSplitter((text) => listener.output(name, text), listener.beforeCut)
      const stream = child[name]
      stream?.on('data', (chunk: Buffer) => lines.push(chunk))
      stream?.on('end', () => lines.end())
      stream?.on('error', () => {})
    }
    this.pid = child.pid ?? 0
  }

  /**
   * Never throws; a worker that is gone is not told anything, one that is still booting as soon as it listens.
   *
   * @param onWritten called when the message has left this process, or never will.
   */
  tell(message: PrimaryMessage, onWritten: () => void = () => {}): void {
    if (message.type === 'drain' || message.type === 'leave') this.#handOffs.leaving()
    if (this.#untold !== null) {
      this.#untold.push(message)
      return onWritten()
    }
    if (!this.#worker.process.connected) return onWritten()
    this.#worker.process.send(toFrame(message), () => onWritten())
  }

  /** It may be handed connections. */
  admit(): void {
    this.#handOffs.admit()
  }

  /** Of its channel and its output in this process, as far as Node tells: what it keeps there has no public name. */
  get descriptors(): number[] {
    const { channel, stdout, stderr } = this.#worker.process
    const handles: unknown[] = [channel, member(stdout, '_handle'), member(stderr, '_handle')]
    return handles.map((handle) => member(handle, 'fd')).filter((fd) => typeof fd === 'number')
  }

  #greeted(): void {
    const untold = this.#untold ?? []
    this.#untold = null
    for (const message of untold) this.tell(message)
  }

  /** Of the process itself: `worker.kill()` of node:cluster disconnects and may wait for ever. */
  signal(signal: NodeJS.Signals): void {
    this.#worker.process.kill(signal)
  }
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined

/** In production SIGUSR1 must open no inspector; before the runtime is loaded only this flag can prevent it. */
const inspectorOff = (): string[] =>
  process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? ['--disable-sigusr1'] : []
