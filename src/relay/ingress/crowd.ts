// How many connections there may be. One too many is let in as far as its first request: then one on which nothing goes on
// is ended for it, and where there is none its caller reads a plain 503 and no reset. When there are many of those, the
// next are told so at once, and in the end only cut off.
//
// Not `maxConnections` of Node: in a cluster the primary would hand the same socket round for ever.

import type { Socket } from 'node:net'
import { lastWords } from './broken-requests.js'
import { later, type Problem } from './problem.js'

const MAX_GUESTS = 4_096
/** One too many that was told so before it asked lives on for a moment, or its own writing would cost it the answer. */
const MAX_REFUSED = 6_144
/** ms that one too many has for its request. */
const GUEST_TIME = 1_000
/** Whoever connects sends its request at once. One that has not for so many ms has to make room. */
const SPARED_NEW = 250
/** As to one that has been used: its caller may be about to use it again. */
const SPARED_KEPT = 2_000

type Go = (isAdmitted: boolean) => void

/** One too many. */
interface Guest {
  timer: NodeJS.Timeout
  /** Its requests, when they wait for room. */
  asked: Go[]
}

export class Crowd {
  readonly #max: number
  /** Null: it has been told so. */
  readonly #guests = new Map<Socket, Guest | null>()
  /** Without a request so far, the oldest first, each with when it came. */
  readonly #unused = new Map<Socket, number>()
  /** Without a request now, the oldest first, each since when. */
  readonly #idle = new Map<Socket, number>()
  #open = 0

  constructor(max: number) {
    this.#max = max
  }

  enter(socket: Socket): void {
    this.#open++
    socket.once('close', () => this.#left(socket))
    if (this.#open - this.#guests.size <= this.#max) {
      this.#unused.set(socket, performance.now())
    } else if (this.#guests.size >= MAX_REFUSED) {
      this.#guests.set(socket, null)
      socket.destroy()
    } else if (this.#guests.size >= MAX_GUESTS) {
      this.#refuse(socket)
    } else {
      const timer = setTimeout(() => this.#refuse(socket), GUEST_TIME)
      this.#guests.set(socket, { timer, asked: [] })
    }
  }

  /**
   * Calls `go` with whether the request that has come on it is to be answered; else it is to be refused with
   * {@link refusal}. At once, unless it is one too many and there may soon be room.
   */
  admit(socket: Socket, go: Go): void {
    const guest = this.#guests.get(socket)
    if (guest === undefined) {
      if (!this.#unused.delete(socket)) this.#idle.delete(socket)
      return go(true)
    }
    if (guest === null) return go(false)
    if (guest.asked.length === 0) {
      clearTimeout(guest.timer)
      if (this.#takesIn(socket)) return go(true)
      guest.timer = setTimeout(() => this.#decide(socket, guest), SPARED_NEW)
    }
    guest.asked.push(go)
  }

  /** All requests on it are answered. */
  rests(socket: Socket): void {
    if (!socket.destroyed && !this.#guests.has(socket)) this.#idle.set(socket, performance.now())
  }

  refusal(): Problem {
    const detail = `the relay has ${this.#max} connections, as many as it may; try again`
    return later(503, 'FORKSAFE_ERR_RELAY_BUSY', detail)
  }

  #decide(socket: Socket, { asked }: Guest): void {
    const isAdmitted = this.#takesIn(socket)
    if (!isAdmitted) this.#guests.set(socket, null)
    for (const go of asked) go(isAdmitted)
  }

  #takesIn(socket: Socket): boolean {
    return (this.#hasRoom() || this.#makeRoom()) && this.#guests.delete(socket)
  }

  #hasRoom(): boolean {
    return this.#open - this.#guests.size < this.#max
  }

  #makeRoom(): boolean {
    const now = performance.now()
    const [unused] = this.#unused
    if (unused !== undefined && now - unused[1] >= SPARED_NEW) {
      this.#unused.delete(unused[0])
      this.#refuse(unused[0])
      return true
    }
    const [idle] = this.#idle
    if (idle === undefined || now - idle[1] < SPARED_KEPT) return false
    this.#idle.delete(idle[0])
    this.#guests.set(idle[0], null)
    // Without a word, which could be taken for the answer to what comes next.
    idle[0].destroySoon()
    return true
  }

  #refuse(socket: Socket): void {
    this.#guests.set(socket, null)
    lastWords(socket, this.refusal())
  }

  #left(socket: Socket): void {
    this.#open--
    clearTimeout(this.#guests.get(socket)?.timer)
    this.#guests.delete(socket)
    this.#unused.delete(socket)
    this.#idle.delete(socket)
  }
}
