// The timers that the core sets, by key.
//
// A process that was suspended wakes up with its timers first and reads afterwards what happened meanwhile. A timer that
// runs out is therefore told only when everything has been read that came before: a canary that has died has not lived
// `minUptime`, and a worker that said it was ready was ready in time.

import type { TimerKey } from './commands.js'

export class CommandTimers {
  readonly #ranOut: (key: TimerKey, ms: number) => void
  /** How to call each one off. */
  readonly #cancels = new Map<TimerKey, () => void>()

  constructor(ranOut: (key: TimerKey, ms: number) => void) {
    this.#ranOut = ranOut
  }

  /** One of a key at a time: an earlier one is called off. */
  set(key: TimerKey, ms: number): void {
    this.clear(key)
    const afterReading = (): void => {
      const turn = setImmediate(() => {
        this.#cancels.delete(key)
        this.#ranOut(key, ms)
      })
      this.#cancels.set(key, () => clearImmediate(turn))
    }
    const timer = setTimeout(afterReading, ms)
    this.#cancels.set(key, () => clearTimeout(timer))
  }

  clear(key: TimerKey): void {
    this.#cancels.get(key)?.()
    this.#cancels.delete(key)
  }

  clearAll(): void {
    for (const key of this.#cancels.keys()) this.clear(key)
  }
}
