// When a crashed worker is started again: at once after a single crash, later and later in a loop of crashes, and never
// more often than `intensity` times in a `period` (the words are OTP's).
// One policy object per slot, so that a slot that cannot run leaves the others alone.

import { type BackoffRange, backoffDelay } from '../shared/backoff.js'
import type { Random } from '../shared/clock.js'
import type { RestartLimits } from '../shared/settings.js'

const BACKOFF: BackoffRange = { min: 100, max: 30_000 }
/** The backoff grows with the crashes of at least this time, so that a short period is no licence for a busy loop. */
const BACKOFF_MEMORY = 60_000
/**
 * A worker that died of a stop signal may be the first victim of one sent to the whole process group (pm2, systemd,
 * Ctrl-C); the primary's own copy may come a little later, and then nothing must be started any more.
 */
const GROUP_SIGNAL_GRACE = 100
const GROUP_SIGNALS: readonly (string | null)[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** Most crashes, and starts after them, that are remembered: as many as `intensity` can be. */
const MAX_REMEMBERED = 1_000

export interface RestartVerdict {
  /** ms until the next start; 0 for a crash that stands alone. */
  delay: number
  /** Crashes within the period, this one included. */
  crashes: number
  /** A start right now would be one more than `intensity` allows. */
  isExceeded: boolean
}

export class RestartPolicy {
  #crashes: number[] = []
  /** When the slot was, or shall be, started again after a crash. */
  #starts: number[] = []

  /** Takes note of a crash and says when the slot may start again. `signal` is what ended the process. */
  crashed(now: number, signal: string | null, limits: RestartLimits, random: Random): RestartVerdict {
    const { intensity, period } = limits
    const memory = Math.max(period, BACKOFF_MEMORY)
    this.#crashes = [...this.#crashes.filter((at) => now - at < memory), now].slice(-MAX_REMEMBERED)
    const earlier = this.#crashes.length - 1
    const backoff = earlier === 0 ? 0 : backoffDelay(earlier - 1, BACKOFF, random)
    const grace = GROUP_SIGNALS.includes(signal) ? GROUP_SIGNAL_GRACE : 0
    // When this start is over, there is room for one more. With an intensity of 0 there is room once a period all the
    // same: where nobody asked for an exit, a slot is never given up for good.
    const blocking = this.#starts.at(-Math.max(1, intensity))
    const room = blocking === undefined ? 0 : Math.max(0, blocking + period - now)
    const delay = Math.ceil(Math.max(backoff, grace, room, intensity === 0 ? period : 0))
    this.#starts = [...this.#starts, now + delay].slice(-MAX_REMEMBERED)
    const crashes = this.#crashes.filter((at) => now - at < period).length
    return { delay, crashes, isExceeded: room > 0 || intensity === 0 }
  }

  /** A new release starts with a clean record. */
  forget(): void {
    this.#crashes = []
    this.#starts = []
  }
}
