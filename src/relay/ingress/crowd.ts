// How many connections there may be. One too many is let in as far as its first request, so that its caller reads a plain
// 503 and no reset; when there are many of those, the next are told so at once, and in the end only cut off.
//
// Not `maxConnections` of Node: in a cluster the primary would hand the same socket round for ever.

import type { Socket } from 'node:net'
import { lastWords } from './broken-requests.js'
import { later, type Problem } from './problem.js'

const MAX_GUESTS = 512
/** One too many that was told so before it asked lives on for a moment, or its own writing would cost it the answer. */
const MAX_REFUSED = 4_096
/** ms that one too many has for its request. */
const GUEST_TIME = 1_000

export class Crowd {
  readonly #max: number
  readonly #guests = new Map<Socket, NodeJS.Timeout | null>()
  #open = 0

  constructor(max: number) {
    this.#max = max
  }

  enter(socket: Socket): void {
    this.#open++
    socket.once('close', () => this.#left(socket))
    if (this.#open - this.#guests.size <= this.#max) return
    if (this.#guests.size >= MAX_REFUSED) {
      this.#guests.set(socket, null)
      socket.destroy()
    } else if (this.#guests.size >= MAX_GUESTS) {
      this.#guests.set(socket, null)
      lastWords(socket, this.refusal())
    } else {
      const sayIt = (): void => lastWords(socket, this.refusal())
      this.#guests.set(socket, setTimeout(sayIt, GUEST_TIME))
    }
  }

  /** Whether its requests are to be refused. */
  isGuest(socket: Socket): boolean {
    return this.#guests.has(socket)
  }

  refusal(): Problem {
    const detail = `the relay has ${this.#max} connections, as many as it may; try again`
    return later(503, 'FORKSAFE_ERR_RELAY_BUSY', detail)
  }

  #left(socket: Socket): void {
    this.#open--
    clearTimeout(this.#guests.get(socket) ?? undefined)
    this.#guests.delete(socket)
  }
}
