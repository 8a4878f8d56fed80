// The drain of this process: carries out what drain-plan.ts decides. Supervised workers and plain scripts share it;
// how the process leaves afterwards is theirs (supervised.ts, standalone.ts).

import { monotonicNow } from '../shared/clock.js'
import { closeInOrder } from '../shared/closing-order.js'
import type { ForcedEnd } from '../shared/protocol.js'
import { resourcesNewestFirst } from '../shared/resources.js'
import { type Farewell, sayFarewell } from './app-farewell.js'
import type { Connections } from './connections.js'
import {
  type DrainEffect,
  DrainPlan,
  type DrainTimes,
  type DrainView,
  drainTimes,
  earlier,
  nextMoment,
} from './drain-plan.js'
import type { Listeners } from './listeners.js'
import type { ShutdownInfo } from './runtime-slot.js'
import type { ShutdownHooks } from './shutdown-hooks.js'

export interface DrainParts {
  listeners: Listeners
  connections: Connections
  hooks: ShutdownHooks
  /** The application's own stop listeners, or null where it has none that should run at the end. */
  farewell(): Farewell | null
  /** Settles when no socket that was handed over before is still on its way. */
  barrier(): Promise<void>
  /** Makes everything else of ours stop keeping the process alive. */
  release(): void
  /** What to do when the drain is over. Called once, at `end` at the latest. */
  leave(forced: ForcedEnd): void
}

type Milestones = Pick<DrainView, 'barrierPassed' | 'hooksDone' | 'clientsDone' | 'farewellDone'>

/** Clients whose turn comes at the deadline still get this long for their Close handshakes. */
const CLOSE_HANDSHAKE = 250

export class Drain {
  readonly #parts: DrainParts
  readonly #plan = new DrainPlan()
  readonly #forced: ForcedEnd = { requests: 0, upgraded: 0, hooks: [] }
  #info: ShutdownInfo = { signal: null, reason: 'stop' }
  #times: DrainTimes | null = null
  #timer: NodeJS.Timeout | undefined
  #end: NodeJS.Timeout | undefined
  #isReleased = false
  #isLeaving = false
  #done: Milestones = { barrierPassed: false, hooksDone: false, clientsDone: false, farewellDone: false }

  constructor(parts: DrainParts) {
    this.#parts = parts
  }

  get isDraining(): boolean {
    return this.#times !== null
  }

  /** Whether the time for finishing things is over: a stop signal now means "leave at once". */
  get isOverdue(): boolean {
    return this.#times !== null && monotonicNow() >= this.#times.deadline
  }

  /** Begins the drain, or shortens one that goes on; all of it within `budget` ms. */
  start(info: ShutdownInfo, budget: number): void {
    const times = drainTimes(monotonicNow(), budget)
    const isFirst = this.#times === null
    this.#times = this.#times === null ? times : earlier(this.#times, times)
    clearTimeout(this.#end)
    this.#end = setTimeout(() => this.#leave(), Math.max(0, this.#times.end - monotonicNow()))
    if (this.#isReleased) this.#end.unref()
    if (isFirst) this.#begin(info)
    this.#advance()
  }

  /** What is still waited for, in words. */
  waitingFor(): string[] {
    if (this.#times === null) return []
    const { requests, longLived, background } = this.#view(this.#times)
    const counts: [number, string][] = [
      [requests, 'requests'],
      [longLived, 'upgraded sockets or event streams'],
      [background, 'promises given to waitUntil()'],
    ]
    return [
      `drain: ${this.#plan.phase}`,
      ...counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`),
    ]
  }

  #begin(info: ShutdownInfo): void {
    const { listeners, connections, hooks, barrier } = this.#parts
    this.#info = info
    // In this order: what the primary hands over after it has read that the listeners are closed goes elsewhere, and
    // the barrier is answered behind what it had handed over before.
    listeners.refuse()
    // As with the timer below: what came together with the barrier's answer is read first.
    void barrier().then(() => setImmediate(() => this.#finished('barrierPassed')))
    connections.announceEnd(() => this.#advance())
    hooks.onSettled(() => this.#advance())
    // Behind announceEnd(): an answer that a listener gives now says that the connection ends.
    hooks.drainBegun(info)
  }

  #view(times: DrainTimes): DrainView {
    const { connections, hooks, farewell } = this.#parts
    return {
      now: monotonicNow(),
      times,
      ...connections.traffic(),
      background: hooks.background,
      appListens: farewell() !== null,
      ...this.#done,
    }
  }

  #advance(): void {
    if (this.#times === null || this.#isLeaving) return
    for (;;) {
      const effects = this.#plan.advance(this.#view(this.#times))
      for (const effect of effects) this.#carryOut(effect, this.#times)
      if (effects.length === 0) break
    }
    clearTimeout(this.#timer)
    const view = this.#view(this.#times)
    const moment = nextMoment(this.#plan.phase, view)
    if (moment === null || this.#isLeaving) return
    // A precaution, as in src/primary/command-timers.ts: what came before the timer ran out is read before it is decided
    // on. There a test shows that it matters; for a lull none could be made to.
    const whenRead = (): void => void setImmediate(() => this.#advance())
    this.#timer = setTimeout(whenRead, Math.ceil(moment - view.now))
    if (this.#isReleased) this.#timer.unref()
  }

  #carryOut(effect: DrainEffect, times: DrainTimes): void {
    const { connections, hooks } = this.#parts
    switch (effect) {
      case 'endIdle':
        return connections.endIdle()
      case 'runHooks':
        return void hooks
          .run(this.#info, () => this.#timeLeft())
          .then((unfinished) => {
            this.#forced.hooks.push(...unfinished)
            this.#finished('hooksDone')
          })
      case 'closeClients':
        return void this.#closeClients(times).then(() => this.#finished('clientsDone'))
      case 'callAppListeners':
        return void this.#callAppListeners().then(() => this.#finished('farewellDone'))
      case 'endByForce':
        return this.#endByForce()
      case 'leave':
        return this.#leave()
    }
  }

  #finished(what: keyof Milestones): void {
    this.#done = { ...this.#done, [what]: true }
    this.#advance()
  }

  #timeLeft(): number {
    return Math.max(0, (this.#times?.deadline ?? 0) - monotonicNow())
  }

  async #closeClients(times: DrainTimes): Promise<void> {
    const beforeEnd = Math.min(CLOSE_HANDSHAKE, times.end - monotonicNow())
    const timeout = Math.max(1, this.#timeLeft(), beforeEnd)
    await closeInOrder(resourcesNewestFirst(), timeout, (resource, ms) => resource.shutDown({ timeout: ms }))
  }

  async #callAppListeners(): Promise<void> {
    const farewell = this.#parts.farewell()
    if (farewell === null) return
    await sayFarewell(farewell, this.#timeLeft(), () => {
      this.#isReleased = true
      this.#end?.unref()
      this.#timer?.unref()
      this.#parts.release()
    })
  }

  #endByForce(): void {
    const { requests, upgraded } = this.#parts.connections.endByForce()
    this.#forced.requests += requests
    this.#forced.upgraded += upgraded
  }

  #leave(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    clearTimeout(this.#timer)
    clearTimeout(this.#end)
    const { background } = this.#parts.hooks
    if (background > 0) this.#forced.hooks.push(`waitUntil() x ${background}`)
    this.#parts.leave(this.#forced)
  }
}
