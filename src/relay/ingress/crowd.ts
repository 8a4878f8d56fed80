// How many connections there may be. One too many is let in as far as its first request, so that its caller reads a plain
// 503 and no reset; of those there are few, for a moment, and whoever comes then is told so at once.
//
// Not `maxConnections` of Node: in a cluster the primary would hand the same socket round for ever.

import type { Socket } from 'node:net'
import { lastWords } from './broken-requests.js'
import { later, type Problem } from './problem.js'

const MAX_GUESTS = 256
/** ms that one too many has for its request. */
const GUEST_TIME = 1_000

export class Crowd {
  readonly #max: number
  readonly #guests = new Map<Socket, NodeJS.Timeout>()
  #open = 0

  constructor(max: number) {
    this.#max = max
  }

  enter(socket: Socket): void {
    this.#open++
    socket.once('close', () => this.#left(socket))
    if (this.#open - this.#guests.size <= this.#max) return
    if (this.#guests.size >= MAX_GUESTS) {
      this.#guests.set(
        socket,
        setTimeout(() => socket.destroy(), GUEST_TIME),
      )
      lastWords(socket, this.refusal())
      return
    }
    this.#guests.set(
      socket,
      setTimeout(() => lastWords(socket, this.refusal()), GUEST_TIME),
    )
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
    clearTimeout(this.#guests.get(socket))
    this.#guests.delete(socket)
  }
}
