// The contract with systemd when it runs us (Type=notify, WatchdogSec=): tells it how the service is, and gives signs of
// life. Without NOTIFY_SOCKET it does nothing. What is said, and when: src/manager/notify-plan.ts; how it gets there:
// src/manager/notify-sender.ts. What workers must not see of it is taken out in src/primary/worker-environment.ts.

import { monotonicNow } from '../shared/clock.js'
import type { Progress } from '../shared/progress.js'
import type { Census, SupervisorState } from '../shared/status.js'
import { type NotifyEvent, NotifyPlan } from './notify-plan.js'
import { NotifySender } from './notify-sender.js'

/** What is told of, as far as it matters here. */
export interface Watched {
  census(): Census
  /** Whether it decides what is put before it: only then there is a sign of life. */
  answers(): boolean
}

export interface Systemd {
  /** The start begins; `budget`: ms within which all workers are ready, if all goes well. */
  starting(budget: number): void
  /** From now on there is somebody to ask for signs of life. */
  watch(watched: Watched): void
  moved(state: SupervisorState): void
  progress(progress: Progress): void
  /** The last words; nothing else is said after them. */
  ended(message: string): void
  /** Settles when systemd knows all that was said, or after a second. */
  end(): Promise<void>
}

/** How long the end of the process may wait for systemd to read the last words, in ms. */
const LAST_WORDS = 1_000

export const connectToSystemd = (
  warn: (text: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Systemd => {
  const { NOTIFY_SOCKET: socket } = environment
  const interval = watchdogInterval(environment, warn)
  if (socket === undefined || socket === '') return NOBODY
  return new Connection(new NotifySender({ socket, path: environment.PATH ?? '', warn }), interval)
}

/**
 * How often systemd is to be given a sign of life, in ms: twice as often as it wants one. Null: it wants none from us.
 *
 * @see sd_watchdog_enabled(3)
 */
export const watchdogInterval = (
  { WATCHDOG_USEC: wanted, WATCHDOG_PID: pid, NOTIFY_SOCKET: socket }: NodeJS.ProcessEnv,
  warn: (text: string) => void,
  ownPid: number = process.pid,
): number | null => {
  if (wanted === undefined || wanted === '') return null
  if (!/^[1-9]\d{0,17}$/.test(wanted)) {
    warn(`WATCHDOG_USEC is ${JSON.stringify(wanted.slice(0, 40))}, no number of microseconds: it is ignored`)
    return null
  }
  if (pid !== undefined && pid !== '' && pid !== String(ownPid)) {
    const remedy = 'let ExecStart run node or supervisor itself, not npm or a shell'
    warn(`systemd's watchdog waits for process ${pid.slice(0, 20)}, and this is ${ownPid}: ${remedy}`)
    return null
  }
  if (socket === undefined || socket === '') {
    warn('systemd wants signs of life (WatchdogSec), and gives no NOTIFY_SOCKET: set NotifyAccess=all')
    return null
  }
  return Math.max(1, Math.min(Number(wanted) / 2_000, LONGEST_TIMER))
}

/** Node fires a longer one at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Nobody listens. */
const NOBODY: Systemd = {
  starting: () => {},
  watch: () => {},
  moved: () => {},
  progress: () => {},
  ended: () => {},
  end: async () => {},
}

const NO_WORKERS: Census = { generation: 1, wanted: 0, ready: 0, live: 0 }

class Connection implements Systemd {
  readonly #sender: NotifySender
  readonly #plan = new NotifyPlan(() => String(process.hrtime.bigint() / 1_000n))
  #watched: Watched | null = null
  #timer: NodeJS.Timeout | undefined
  readonly #watchdog: NodeJS.Timeout | undefined
  #hasEnded = false

  constructor(sender: NotifySender, watchdog: number | null) {
    this.#sender = sender
    if (watchdog !== null) this.#watchdog = setInterval(() => this.#giveSign(), watchdog)
  }

  starting(budget: number): void {
    this.#tell({ type: 'starting', budget })
  }

  watch(watched: Watched): void {
    this.#watched = watched
  }

  moved(state: SupervisorState): void {
    this.#tell({ type: 'moved', state, census: this.#census() })
  }

  progress(progress: Progress): void {
    this.#tell({ type: 'progress', progress, census: this.#census() })
  }

  ended(message: string): void {
    if (!this.#hasEnded) this.#tell({ type: 'ended', message })
    this.#hasEnded = true
  }

  async end(): Promise<void> {
    this.#hasEnded = true
    clearTimeout(this.#timer)
    clearInterval(this.#watchdog)
    await this.#sender.end(LAST_WORDS)
  }

  #census(): Census {
    return this.#watched?.census() ?? NO_WORKERS
  }

  #tell(event: NotifyEvent): void {
    if (this.#hasEnded) return
    const now = monotonicNow()
    for (const message of this.#plan.handle(event, now)) this.#sender.say(message)
    clearTimeout(this.#timer)
    const next = this.#plan.nextDeadline()
    if (next === null) return
    this.#timer = setTimeout(() => this.#tell({ type: 'tick' }), Math.max(1, Math.ceil(next - now)))
  }

  /** Only when everything has been read that came before: what is overdue because this loop stood still is judged then. */
  #giveSign(): void {
    setImmediate(() => {
      if (this.#watched?.answers() !== false) this.#sender.say({ WATCHDOG: '1' })
    })
  }
}
