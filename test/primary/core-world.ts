// A world for the primary's core: fake processes and a fake clock carry its effects out, deterministically.

import type { ChangeOrder, Command, Effect, Release, TimerKey } from '../../src/primary/commands.js'
import { SupervisorCore } from '../../src/primary/supervisor-core.js'
import type { OperationResult, Progress } from '../../src/shared/progress.js'
import type { PrimaryMessage } from '../../src/shared/protocol.js'

/** What a worker of a generation does: when it is ready (null: never) and when it dies by itself (null: never). */
export interface Behaviour {
  readyAfter: number | null
  diesAfter: number | null
  /** How long its drain takes; null: it never leaves by itself. */
  drainsIn: number | null
}

export const GOOD: Behaviour = { readyAfter: 100, diesAfter: null, drainsIn: 50 }
export const NEVER_READY: Behaviour = { readyAfter: null, diesAfter: null, drainsIn: 50 }
export const THROWS_AT_BOOT: Behaviour = { readyAfter: null, diesAfter: 60, drainsIn: 50 }
export const DIES_AFTER_READY: Behaviour = { readyAfter: 100, diesAfter: 500, drainsIn: 50 }
export const NEVER_DRAINS: Behaviour = { readyAfter: 100, diesAfter: null, drainsIn: null }

export const release = (generation: number, overrides: Partial<Release> = {}): Release => ({
  generation,
  workers: 2,
  relays: 0,
  maxSurge: 1,
  readyTimeout: 5_000,
  minUptime: 1_000,
  stopTimeout: 3_000,
  shutdownDelay: 0,
  restart: { intensity: 10, period: 60_000, onExceeded: 'backoff' },
  ...overrides,
})

interface FakeProcess {
  id: number
  slot: number
  generation: number
  behaviour: Behaviour
}

export class CoreWorld {
  now = 0
  readonly core: SupervisorCore
  readonly progress: (Progress & { at: number })[] = []
  readonly results: { changes: (OperationResult & { request: number })[]; ended: OperationResult | null } = {
    changes: [],
    ended: null,
  }
  readonly processes = new Map<number, FakeProcess>()
  readonly sent: { id: number; message: PrimaryMessage }[] = []
  isStarted = false
  isDrainBegun = false
  forks = 0
  /** What a worker does, by generation and slot; GOOD unless said otherwise. */
  behaviour: (generation: number, slot: number) => Behaviour = () => GOOD
  /** What the configuration names at the next reload; a string refuses it. */
  nextRelease: (generation: number) => Release | string
  readonly #agenda: { at: number; order: number; act: () => void }[] = []
  readonly #timers = new Map<TimerKey, symbol>()
  #order = 0
  #requests = 0

  constructor(first: Release = release(1), random: () => number = () => 0.5) {
    this.core = new SupervisorCore({ release: first, startConcurrency: 2, random })
    this.nextRelease = (generation) => ({ ...first, generation })
  }

  command(command: Command): void {
    for (const effect of this.core.handle(command, this.now)) this.#carryOut(effect)
  }

  /** Asks for a change; requests are numbered from 1. */
  change(order: ChangeOrder): void {
    this.command({ type: 'change', request: ++this.#requests, order })
  }

  /** Lets time pass; returns when everything due by then has happened. */
  pass(ms: number): this {
    const until = this.now + ms
    for (;;) {
      this.#agenda.sort((a, b) => a.at - b.at || a.order - b.order)
      const next = this.#agenda[0]
      if (next === undefined || next.at > until) break
      this.#agenda.shift()
      this.now = Math.max(this.now, next.at)
      next.act()
    }
    this.now = until
    return this
  }

  kill(id: number, signal = 'SIGKILL'): void {
    if (this.processes.delete(id)) this.command({ type: 'workerExited', id, end: { code: null, signal } })
  }

  /** Ready workers that serve, as `slot:generation`. */
  get serving(): string[] {
    return this.core.pool.slots.flatMap(({ serving }) =>
      serving?.state === 'ready' ? [`${serving.slot}:${serving.generation}`] : [],
    )
  }

  #later(ms: number, act: () => void): void {
    this.#agenda.push({ at: this.now + ms, order: this.#order++, act })
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'fork':
        return this.#later(1, () => this.#fork(effect.order))
      case 'cancelFork':
        this.#cancelled.add(effect.id)
        return
      case 'send':
        this.sent.push(effect)
        if (effect.message.type === 'drain') this.#drain(effect.id)
        if (effect.message.type === 'leave') this.#later(10, () => this.#exit(effect.id, 0, null))
        return
      case 'kill':
        if (effect.signal === 'SIGKILL') this.#later(1, () => this.#exit(effect.id, null, 'SIGKILL'))
        return
      case 'setTimer': {
        const token = Symbol(effect.key)
        this.#timers.set(effect.key, token)
        return this.#later(effect.ms, () => {
          if (this.#timers.get(effect.key) === token) this.command({ type: 'timer', key: effect.key })
        })
      }
      case 'clearTimer':
        this.#timers.delete(effect.key)
        return
      case 'progress':
        this.progress.push({ ...effect.progress, at: this.now })
        return
      case 'started':
        this.isStarted = true
        return
      case 'drainBegun':
        this.isDrainBegun = true
        return
      case 'resolveRelease':
        return this.#later(5, () => {
          const next = this.nextRelease(effect.generation)
          if (typeof next === 'string') this.command({ type: 'releaseRejected', message: next })
          else this.command({ type: 'releaseResolved', release: next })
        })
      case 'changeEnded':
        this.results.changes.push(...effect.requests.map((request) => ({ ...effect.result, request })))
        return
      case 'ended':
        this.results.ended = effect.result
        return
      default:
        return
    }
  }

  readonly #cancelled = new Set<number>()

  #fork({ id, slot, generation }: { id: number; slot: number; generation: number }): void {
    if (this.#cancelled.has(id))
      return this.command({ type: 'workerExited', id, end: { code: null, signal: null } })
    this.forks++
    const behaviour = this.behaviour(generation, slot)
    this.processes.set(id, { id, slot, generation, behaviour })
    this.command({ type: 'spawned', id, pid: 1_000 + id })
    if (behaviour.readyAfter !== null) {
      this.#later(behaviour.readyAfter, () => {
        if (this.processes.has(id)) this.command({ type: 'workerReady', id, by: 'listening' })
      })
    }
    if (behaviour.diesAfter !== null) this.#later(behaviour.diesAfter, () => this.#exit(id, 1, null))
  }

  #drain(id: number): void {
    const drainsIn = this.processes.get(id)?.behaviour.drainsIn
    if (typeof drainsIn === 'number') this.#later(drainsIn, () => this.#exit(id, 0, null))
  }

  #exit(id: number, code: number | null, signal: string | null): void {
    if (this.processes.delete(id)) this.command({ type: 'workerExited', id, end: { code, signal } })
  }
}
