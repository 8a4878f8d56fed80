// What systemd is told of a supervisor, and when: what happens and a clock in, messages out. No socket and no process:
// src/manager/notify-sender.ts sends, src/manager/systemd.ts ties both to a supervisor.
//
// The words are those of sd_notify(3). READY=1 is said once all workers are ready, and again at the end of each change,
// which began with RELOADING=1; STOPPING=1 once. EXTEND_TIMEOUT_USEC is repeated while a start, a change or a stop lasts,
// so that systemd's own timeouts need not know ours: a primary that hangs repeats nothing, and they count again.

import { formatDuration } from '../shared/duration.js'
import { printable } from '../shared/printable.js'
import type { Progress, WorkerFailure } from '../shared/progress.js'
import type { Census, SupervisorState } from '../shared/status.js'

/** Variables of one message, in the order in which they are written. */
export type NotifyMessage = Readonly<Record<string, string>>

export type NotifyEvent =
  /** The start begins; `budget`: ms within which all workers are ready, if all goes well. */
  | { type: 'starting'; budget: number }
  | { type: 'moved'; state: SupervisorState; census: Census }
  | { type: 'progress'; progress: Progress; census: Census }
  /** It has ended, or could not start; `message` is the last that is said. */
  | { type: 'ended'; message: string }
  | { type: 'tick' }

/** In ms. */
const EXTEND_EVERY = 10_000
/** Three times as long: two may be late. */
const EXTEND_BY = 3 * EXTEND_EVERY
/** For what is put away once the last worker is gone, and for systemd's own delay. */
const EXTEND_MARGIN = 5_000
/** A status costs a process: how often its words may change, in ms. */
const STATUS_EVERY = 1_000
const STATUS_LENGTH = 240

export class NotifyPlan {
  readonly #microseconds: () => string
  #state: SupervisorState = 'starting'
  #census: Census | null = null
  #isReadySaid = false
  /** What is under way, in words: a change, a stop. */
  #doing = ''
  /** How the last change went wrong. */
  #trouble = ''
  #status = { text: '', at: Number.NEGATIVE_INFINITY }
  /** Until when timeouts are extended, and when next; null while nothing is under way. */
  #extension: { until: number; nextAt: number } | null = null

  /** @param microseconds CLOCK_MONOTONIC now, as MONOTONIC_USEC wants it. */
  constructor(microseconds: () => string) {
    this.#microseconds = microseconds
  }

  /** The messages to send now, in their order; `now` is monotonic ms. */
  handle(event: NotifyEvent, now: number): NotifyMessage[] {
    switch (event.type) {
      case 'starting':
        this.#extension = { until: now + event.budget + EXTEND_MARGIN, nextAt: now }
        return this.#say({}, now)
      case 'moved':
        this.#census = event.census
        return this.#moved(event.state, now)
      case 'progress':
        this.#census = event.census
        return this.#progress(event.progress, now)
      case 'ended':
        this.#extension = null
        this.#doing = event.message
        this.#state = 'stopped'
        return this.#say({}, now)
      case 'tick':
        return this.#isDue(now) ? this.#say({}, now) : []
    }
  }

  /** When a tick is due; null: not before something happens. */
  nextDeadline(): number | null {
    const status = this.#text() === this.#status.text ? null : this.#status.at + STATUS_EVERY
    const extension = this.#extension?.nextAt ?? null
    return status === null ? extension : Math.min(status, extension ?? status)
  }

  #moved(state: SupervisorState, now: number): NotifyMessage[] {
    if (state === 'stopped') return [] // Not all is put away yet: `ended` tells.
    this.#state = state
    switch (state) {
      case 'starting':
        return []
      case 'running':
        this.#extension = null
        this.#doing = ''
        this.#isReadySaid = true
        return this.#say({ READY: '1' }, now)
      case 'reloading':
        this.#doing = 'reading script and configuration'
        this.#trouble = ''
        // To systemd a reload during the start is a part of the start.
        if (!this.#isReadySaid) return []
        this.#extension = { until: Number.POSITIVE_INFINITY, nextAt: now }
        return this.#say({ RELOADING: '1', MONOTONIC_USEC: this.#microseconds() }, now)
      case 'stopping':
        return [] // Its reason and its budget follow at once.
    }
  }

  #progress(progress: Progress, now: number): NotifyMessage[] {
    switch (progress.event) {
      case 'reloading':
        this.#doing = `rolling restart to generation ${progress.generation}`
        break
      case 'restarting':
        this.#doing = `restart with generation ${progress.generation}`
        break
      case 'reloadFailed':
      case 'restartFailed':
        this.#trouble = `generation ${progress.generation} was given up: ${why(progress.failures)}`
        break
      case 'stopping': {
        const { reason, budget } = progress
        this.#doing = `stopping within ${formatDuration(budget)} (${reason})`
        this.#extension = { until: now + budget + EXTEND_MARGIN, nextAt: now }
        return this.#say({ STOPPING: '1' }, now)
      }
    }
    return this.#isDue(now) ? this.#say({}, now) : []
  }

  /** With what else is due: each message is a process. */
  #say(variables: NotifyMessage, now: number): NotifyMessage[] {
    const message: Record<string, string> = { ...variables }
    const text = this.#text()
    if (text !== this.#status.text) {
      message.STATUS = text
      this.#status = { text, at: now }
    }
    const extension = this.#extension
    if (extension !== null && now >= extension.nextAt) {
      const by = Math.min(EXTEND_BY, extension.until - now)
      if (by > 0) message.EXTEND_TIMEOUT_USEC = String(Math.round(by) * 1_000)
      this.#extension = by > 0 ? { ...extension, nextAt: now + EXTEND_EVERY } : null
    }
    return Object.keys(message).length === 0 ? [] : [message]
  }

  #isDue(now: number): boolean {
    const next = this.nextDeadline()
    return next !== null && now >= next
  }

  #text(): string {
    const text = printable(this.#words())
    return text.length <= STATUS_LENGTH ? text : `${text.slice(0, STATUS_LENGTH - 1)}…`
  }

  #words(): string {
    const { generation, wanted, ready, live } = this.#census ?? {
      generation: 1,
      wanted: 0,
      ready: 0,
      live: 0,
    }
    const readiness = `${ready} of ${wanted} workers ready`
    switch (this.#state) {
      case 'starting':
        return wanted === 0 ? 'starting' : `starting: ${readiness}`
      case 'reloading':
        return `${this.#doing}: ${readiness}`
      case 'running':
        return `${readiness}, generation ${generation}${this.#trouble === '' ? '' : `; ${this.#trouble}`}`
      case 'stopping':
        return `${this.#doing}: ${live} worker${live === 1 ? '' : 's'} left`
      case 'stopped':
        return this.#doing
    }
  }
}

const why = (failures: readonly WorkerFailure[]): string =>
  failures.map(({ slot, reason }) => `worker ${slot} ${reason}`).join('; ')
