// Callers that wait for the same thing, each with a signal of its own.

import { onAbort } from './on-abort.js'

export interface Waiter<Value> {
  resolve: (value: Value) => void
  reject: (error: unknown) => void
}

export class Waiters<Value> {
  readonly #waiters = new Set<Waiter<Value>>()

  get size(): number {
    return this.#waiters.size
  }

  /** `giveUp` is called when the signal fires, after this caller has been taken out, and returns its error. */
  wait(signal: AbortSignal | undefined, giveUp: () => unknown): Promise<Value> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiters.delete(waiter)
        waiter.reject(giveUp())
      }
      let done = (): void => {}
      const waiter: Waiter<Value> = {
        resolve: (value) => {
          done()
          resolve(value)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      this.#waiters.add(waiter)
      if (signal !== undefined) done = onAbort(signal, abort)
    })
  }

  resolveAll(value: Value): void {
    for (const waiter of this.#take()) waiter.resolve(value)
  }

  rejectAll(error: unknown): void {
    for (const waiter of this.#take()) waiter.reject(error)
  }

  #take(): Waiter<Value>[] {
    const all = [...this.#waiters]
    this.#waiters.clear()
    return all
  }
}
