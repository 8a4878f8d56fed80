// What the application wants done, and waited for, before this process leaves: onDrain(), onShutdown() and waitUntil().
// When they run is decided in drain-plan.ts.

import { ForksafeError, messageOf } from '../shared/errors.js'
import { settledWithin } from '../shared/settled-within.js'
import type { DrainListener, ShutdownHook, ShutdownInfo } from './runtime-slot.js'

export class ShutdownHooks {
  readonly #hooks: { run: ShutdownHook }[] = []
  readonly #drainListeners = new Set<{ tell: DrainListener }>()
  readonly #work = new Set<PromiseLike<unknown>>()
  #changed: () => void = () => {}
  #first: () => void = () => {}

  /** Promises given to waitUntil() that have not settled. */
  get background(): number {
    return this.#work.size
  }

  add(run: ShutdownHook): () => void {
    const entry = { run }
    this.#hooks.push(entry)
    this.#first()
    return () => {
      const index = this.#hooks.indexOf(entry)
      if (index >= 0) this.#hooks.splice(index, 1)
    }
  }

  addDrainListener(tell: DrainListener): () => void {
    const entry = { tell }
    this.#drainListeners.add(entry)
    this.#first()
    return () => void this.#drainListeners.delete(entry)
  }

  /** The drain has begun. A listener that throws is a warning. */
  drainBegun(info: ShutdownInfo): void {
    for (const { tell } of this.#drainListeners) {
      try {
        tell(info)
      } catch (error) {
        process.emitWarning(`listener of onDrain() failed: ${messageOf(error)}`, 'ForksafeWarning')
      }
    }
    this.#drainListeners.clear()
  }

  waitUntil(work: PromiseLike<unknown>): void {
    this.#work.add(work)
    const settled = (): void => {
      this.#work.delete(work)
      this.#changed()
    }
    work.then(settled, (error: unknown) => {
      settled()
      process.emitWarning(`work given to waitUntil() failed: ${messageOf(error)}`, 'ForksafeWarning')
    })
  }

  /** Calls `first` when a hook is registered; returns the function that stops it. */
  onFirst(first: () => void): () => void {
    this.#first = first
    return () => {
      this.#first = () => {}
    }
  }

  /** Calls `changed` when work given to waitUntil() settles. */
  onSettled(changed: () => void): void {
    this.#changed = changed
  }

  /**
   * Runs the hooks one after another, the last registered first, as resources are opened and closed. When time is up
   * the rest is still called, so that what it does at once is done, and not waited for.
   *
   * @param timeLeft ms, asked anew before each hook.
   * @returns the names of hooks that had not finished. A hook that throws is finished; it is a warning.
   */
  async run(info: ShutdownInfo, timeLeft: () => number): Promise<string[]> {
    const unfinished: string[] = []
    for (let hook = this.#hooks.pop(); hook !== undefined; hook = this.#hooks.pop()) {
      const { run } = hook
      const name = run.name === '' ? 'anonymous hook' : run.name.slice(0, 100)
      const ran = (async () => run(info))().catch((error: unknown) => {
        process.emitWarning(`shutdown hook ${name} failed: ${messageOf(error)}`, 'ForksafeWarning')
      })
      if (await settledWithin(ran, Math.max(0, timeLeft()))) continue
      unfinished.push(name)
      process.emitWarning(
        new ForksafeError(
          'FORKSAFE_ERR_SHUTDOWN_TIMEOUT',
          `shutdown hook ${name} did not finish in its time; raise stopTimeout or do less in it`,
          { details: { hook: name } },
        ),
      )
    }
    return unfinished
  }
}
