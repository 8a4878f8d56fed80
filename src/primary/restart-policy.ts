// When a crashed worker is started again: at once after a single crash, later and later in a loop of crashes.
// One policy object per slot, so that a slot that cannot run leaves the others alone.

import { type BackoffRange, backoffDelay } from '../shared/backoff.js'
import type { Random } from '../shared/clock.js'

const BACKOFF: BackoffRange = { min: 100, max: 30_000 }
/** A crash is forgotten after this time, so a loop of slow crashes is a loop too. */
const PERIOD = 60_000
/**
 * A worker that died of a stop signal may be the first victim of one sent to the whole process group (pm2, systemd,
 * Ctrl-C); the primary's own copy may come a little later, and then nothing must be started any more.
 */
const GROUP_SIGNAL_GRACE = 100
const GROUP_SIGNALS: readonly (string | null)[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

export class RestartPolicy {
  #crashes: number[] = []

  /** Takes note of a crash and returns the delay in ms before the next start: 0 for the first within a minute. */
  delayAfterCrash(now: number, signal: string | null, random: Random): number {
    this.#crashes = [...this.#crashes.filter((at) => now - at < PERIOD), now].slice(-64)
    const loops = this.#crashes.length - 1
    const delay = loops === 0 ? 0 : backoffDelay(loops - 1, BACKOFF, random)
    return GROUP_SIGNALS.includes(signal) ? Math.max(delay, GROUP_SIGNAL_GRACE) : delay
  }

  /** A new release starts with a clean record. */
  forget(): void {
    this.#crashes = []
  }
}
