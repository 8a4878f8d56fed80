// Orders to fork, and the fork windows in which they are carried out: those of one tick, and those that come while a window
// is open, share one. What a window closes and opens is src/fork/fork-window.ts.

import type { ForkOccasion } from '../fork/fork-window.js'
import type { ForkOrder } from './commands.js'

export interface ForkQueueActions {
  /** Runs `fork` while a window is open. */
  inWindow(occasion: ForkOccasion, first: ForkOrder, fork: () => void): Promise<void>
  fork(order: ForkOrder): void
  /** It was called off in time. */
  cancelled(order: ForkOrder): void
  /** Why there is a window, in a word. */
  reason(): string
}

export class ForkQueue {
  readonly #actions: ForkQueueActions
  #orders: ForkOrder[] = []
  readonly #cancelled = new Set<number>()
  #isForking = false

  constructor(actions: ForkQueueActions) {
    this.#actions = actions
  }

  add(order: ForkOrder): void {
    this.#orders.push(order)
    if (this.#isForking) return
    this.#isForking = true
    setImmediate(() => void this.#forkAll())
  }

  /** It shall not be forked, if it is not too late. */
  cancel(id: number): void {
    this.#cancelled.add(id)
  }

  /** Its worker is gone: there is nothing to call off any more. */
  forget(id: number): void {
    this.#cancelled.delete(id)
  }

  async #forkAll(): Promise<void> {
    for (;;) {
      const orders = this.#orders.splice(0)
      const [first] = orders
      if (first === undefined) break
      const occasion = { slots: orders.map(({ slot }) => slot), reason: this.#actions.reason() }
      if (orders.every(({ id }) => this.#cancelled.has(id))) this.#forkEach(orders)
      else await this.#actions.inWindow(occasion, first, () => this.#forkEach(orders))
    }
    this.#isForking = false
  }

  #forkEach(orders: readonly ForkOrder[]): void {
    for (const order of orders) {
      if (this.#cancelled.delete(order.id)) this.#actions.cancelled(order)
      else this.#actions.fork(order)
    }
  }
}
