// The primary's record of one worker: what is known about it, and its lifecycle.
// It is not the process (src/primary/worker-process.ts) and decides nothing (src/primary/supervisor-core.ts).

import type { LimitBreach } from '../shared/limits.js'
import type { DrainReason } from '../shared/protocol.js'
import { transition } from '../shared/state-machine.js'
import { HANDLE_LIFECYCLE, type HandleState } from './lifecycles.js'

/** How a process ended, as the kernel tells it; `failure` is set when it never came to life. */
export interface ProcessEnd {
  code: number | null
  signal: string | null
  failure?: string
  /** After a SIGKILL: whether the kernel counted a kill for lack of memory just then; `unknown`: it does not say. */
  outOfMemory?: 'counted' | 'not counted' | 'unknown'
}

export class WorkerHandle {
  readonly id: number
  readonly slot: number
  readonly generation: number
  /** When it was asked for, on the monotonic clock. */
  readonly askedAt: number
  /** Whether the worker that it takes over from listens: then open clients alone do not make it ready. */
  readonly mustListen: boolean
  #state: HandleState = 'starting'
  pid: number | null = null
  readyAt: number | null = null
  readyBy: string | null = null
  /** Addresses on which its servers listen. */
  readonly listening = new Set<string>()
  /** It shall go as soon as its replacement is ready: it got a stop signal, or it misbehaved. */
  mustGo = false
  /** The limit that it crossed and for which it shall be replaced, start first. */
  overLimit: LimitBreach | null = null
  drainReason: DrainReason | null = null
  /** Why we ended it, when we did so because something was wrong with it. */
  dropReason: string | null = null
  /** The uncaught error that it reported before it died. */
  fault: string | null = null
  /** Whether the stop ladder got as far as SIGKILL. */
  wasKilled = false
  /** What its drain had to end by force. */
  forcedEnds = 0

  constructor(init: { id: number; slot: number; generation: number; askedAt: number; mustListen: boolean }) {
    this.id = init.id
    this.slot = init.slot
    this.generation = init.generation
    this.askedAt = init.askedAt
    this.mustListen = init.mustListen
  }

  get state(): HandleState {
    return this.#state
  }

  moveTo(state: HandleState, reason: string): void {
    this.#state = transition(`worker ${this.id}`, HANDLE_LIFECYCLE, this.#state, state, reason)
  }

  get isServing(): boolean {
    return this.#state === 'starting' || this.#state === 'ready'
  }

  get isLeaving(): boolean {
    return this.#state === 'draining' || this.#state === 'stopping'
  }

  get isGone(): boolean {
    return this.#state === 'exited'
  }

  /** How it ended, in words, for logs, `status` and the report of a failed rolling restart. */
  describeEnd(end: ProcessEnd, now: number): string {
    if (end.failure !== undefined) return `could not be started: ${end.failure}`
    const how = end.signal !== null ? `was killed by ${end.signal}` : `exited with code ${end.code}`
    const when =
      this.readyAt === null
        ? ' before it was ready'
        : ` ${formatSeconds(now - this.readyAt)} after it was ready`
    const fault = this.fault === null ? '' : `: ${firstLine(this.fault)}`
    return this.dropReason === null
      ? `${how}${when}${this.wasKilled ? '' : lackOfMemory(end)}${fault}`
      : `${this.dropReason}${fault}`
  }
}

/** What a SIGKILL that nobody here sent comes from, as far as is known. */
export const lackOfMemory = ({ signal, outOfMemory }: ProcessEnd): string => {
  if (signal !== 'SIGKILL' || outOfMemory === undefined || outOfMemory === 'not counted') return ''
  const how = outOfMemory === 'counted' ? 'by' : 'probably by'
  return `, ${how} the kernel for lack of memory`
}

export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 0)} s`

const firstLine = (text: string): string =>
  text
    .split('\n')
    .find((line) => /\S/.test(line))
    ?.trim() ?? ''
