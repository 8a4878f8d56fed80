// The one gate that every fork passes, whatever asks for it: it bounds live processes and forks per minute.
// A retry loop that forks on every failure takes the whole machine down; behind this gate it cannot.

export interface ForkGateLimits {
  /** Most live workers: serving, starting and draining together. */
  live: number
  /** Most forks in any 60 s. */
  perMinute: number
}

const MINUTE = 60_000

/** Room for a whole second set of workers while an old one drains, and a third that was started over it. */
export const forkGateLimits = (workers: number, maxSurge: number): ForkGateLimits => ({
  live: 3 * workers + maxSurge,
  perMinute: 60 * (workers + 1),
})

export class ForkGate {
  limits: ForkGateLimits
  #forks: number[] = []

  constructor(limits: ForkGateLimits) {
    this.limits = limits
  }

  /** 0 if a worker may be forked now, else the ms after which to ask again. */
  wait(now: number, live: number): number {
    this.#forks = this.#forks.filter((at) => now - at < MINUTE)
    if (live >= this.limits.live) return 250
    const oldest = this.#forks[0]
    return oldest !== undefined && this.#forks.length >= this.limits.perMinute ? oldest + MINUTE - now : 0
  }

  /** Counts a fork. */
  passed(now: number): void {
    this.#forks.push(now)
  }
}
