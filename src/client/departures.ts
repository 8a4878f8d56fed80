// What of a protected resource is on its way out: values that are drained and closed, and openings that were cancelled.
// Everything here settles in time and never rejects; what went wrong is told.

import { runHookWithin } from './bounded-hook.js'
import type { ParsedProtectOptions } from './protect-options.js'

export interface ReleaseTimes {
  /** null: without a drain. */
  drainTimeout: number | null
  closeTimeout: number
}

/** @param why in words, such as `close() failed`. */
type FailureListener = (why: string, ...cause: [unknown?]) => void

export class Departures<Value> {
  readonly #options: ParsedProtectOptions<Value>
  readonly #failed: FailureListener
  readonly #closing = new Set<Promise<unknown>>()
  readonly #cancelled = new Set<Promise<unknown>>()
  readonly #over = new AbortController()

  constructor(options: ParsedProtectOptions<Value>, failed: FailureListener) {
    this.#options = options
    this.#failed = failed
  }

  /** Whether anything has to be waited for before it can be called closed. */
  get areUnderWay(): boolean {
    return this.#closing.size + this.#cancelled.size > 0
  }

  /** Settles when every value that is being closed now is closed, or given up. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing)
  }

  /** The same, with what cancelled openings may still bring; settles after `ms` at the latest. */
  async goneWithin(ms: number): Promise<void> {
    await runHookWithin(ms, this.#awaited, () => Promise.all([...this.#closing, ...this.#cancelled]))
  }

  /** Drains and closes a value. @returns whether `close` has said that it is closed. */
  release(value: Value, times: ReleaseTimes, onDrained: () => void = () => {}): Promise<boolean> {
    const { drain, close } = this.#options
    const run = async (): Promise<boolean> => {
      if (drain !== undefined && times.drainTimeout !== null)
        await this.#run('drain()', times.drainTimeout, (signal) => drain(value, { signal }))
      onDrained()
      return this.#run('close()', times.closeTimeout, () => close(value))
    }
    return keepUntilSettled(this.#closing, run())
  }

  /** An opening that ignores its signal is not waited for for ever: what it brings after that is closed when it comes. */
  expect(opening: { gone: Promise<void> }): void {
    const gone = runHookWithin(this.#options.closeTimeout, this.#awaited, () => opening.gone)
    void keepUntilSettled(this.#cancelled, gone)
  }

  /** Nobody waits for what is under way any more, nor for what is still to come. */
  giveUp(): void {
    this.#over.abort()
  }

  get #awaited(): AbortSignal | null {
    return this.#over.signal.aborted ? null : this.#over.signal
  }

  async #run(what: string, ms: number, hook: (signal: AbortSignal) => unknown): Promise<boolean> {
    const failure = await runHookWithin(ms, this.#awaited, hook)
    if (failure === null) return true
    if ('error' in failure) this.#failed(`${what} failed`, failure.error)
    else this.#failed(`${what} did not finish in time`)
    return false
  }
}

const keepUntilSettled = <Result>(kept: Set<Promise<unknown>>, work: Promise<Result>): Promise<Result> => {
  kept.add(work)
  void work.finally(() => kept.delete(work))
  return work
}
