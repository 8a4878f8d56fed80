// Numbered messages through a client, and what was said of each: the sender's half of judge-delivery.ts.

import type { GuardedClient } from '../../../src/client/index.js'
import type { Sent } from '../../support/judge-delivery.js'

export class Messages {
  readonly sent: Sent[] = []
  readonly #client: GuardedClient
  readonly #settled: Promise<void>[] = []
  /** Their numbers. */
  readonly confirmed: number[] = []

  constructor(client: GuardedClient) {
    this.#client = client
  }

  /** @param size of the whole message; `word` is what the server may act upon. */
  send(size = 0, word = 'text'): Promise<void> {
    const number = this.sent.length + 1
    const text = `${number} ${word} `.padEnd(size, '.')
    const message: Sent = { number, size: text.length, outcome: null }
    this.sent.push(message)
    const settled = this.#client.send(text).then(
      ({ level }) => {
        this.confirmed.push(number)
        message.outcome = { level }
      },
      (error: unknown) => {
        message.outcome = { code: (error as NodeJS.ErrnoException).code ?? String(error) }
      },
    )
    this.#settled.push(settled)
    return settled
  }

  /** Keeps `window` of them on their way until `isEnough` or the client takes no more, each of another size. */
  async stream(window: number, isEnough: () => boolean): Promise<void> {
    const one = async (): Promise<void> => {
      while (!isEnough() && !CLOSED.includes(this.#client.state))
        await this.send(SIZES[this.sent.length % SIZES.length])
    }
    await Promise.all(Array.from({ length: window }, one))
  }

  async allSettled(): Promise<void> {
    await Promise.all(this.#settled)
  }

  /** How many were confirmed as `level`, or rejected with that code. */
  count(outcome: string): number {
    return this.sent.filter((message) => {
      const said = message.outcome
      return said !== null && ('level' in said ? said.level : said.code) === outcome
    }).length
  }
}

/** Short and long in turn: frames with all three kinds of length. */
const SIZES: readonly number[] = [10, 100, 125, 126, 3_000, 20, 66_000, 64]
const CLOSED: readonly string[] = ['draining', 'closing', 'closed']
