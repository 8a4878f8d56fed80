// What becomes of bytes that are no complete request: garbage, too large a head, one that came too slowly, CONNECT and
// Upgrade. Each is told so and its connection is ended, behind the answers that the connection still waits for.

import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { errnoOf } from '../../shared/config-file.js'
import { badRequest, type Problem, problem, rawProblem } from './problem.js'

/** How many complete requests of each connection wait for their answer. */
export class Unanswered {
  readonly #counts = new WeakMap<Duplex, number>()
  readonly #last = new WeakMap<Duplex, () => void>()

  add(socket: Duplex): void {
    this.#counts.set(socket, this.of(socket) + 1)
  }

  remove(socket: Duplex): void {
    const left = this.of(socket) - 1
    this.#counts.set(socket, left)
    if (left <= 0) this.#last.get(socket)?.()
  }

  /** Calls it when all are answered, or at once; a second call for the same connection does nothing. */
  whenNone(socket: Duplex, act: () => void): void {
    if (this.#last.has(socket)) return
    this.#last.set(socket, act)
    if (this.of(socket) <= 0) act()
  }

  of(socket: Duplex): number {
    return this.#counts.get(socket) ?? 0
  }
}

export const refuseBroken = (server: Server, unanswered: Unanswered): void => {
  server.on('clientError', (error, socket) => {
    socket.on('error', () => {})
    if (!socket.writable || errnoOf(error) === 'ECONNRESET') {
      socket.destroy()
      return
    }
    unanswered.whenNone(socket, () => lastWords(socket, problemOf(errnoOf(error))))
  })
  server.on('connect', (_request, socket) => {
    const detail = 'a relay is no proxy; there is GET and POST'
    lastWords(socket, { ...problem(405, 'FORKSAFE_ERR_RELAY_METHOD', detail), allow: 'GET, HEAD, POST' })
  })
  server.on('upgrade', (_request, socket) => {
    lastWords(socket, badRequest('a relay speaks plain HTTP/1.1 and is upgraded to nothing'))
  })
}

/** Sends it and ends the connection, whether its other side does or not. */
export const lastWords = (socket: Duplex, why: Problem): void => {
  socket.on('error', () => {})
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.end(rawProblem(why), () => socket.destroy())
}

const problemOf = (errno: string): Problem => {
  switch (errno) {
    case 'HPE_HEADER_OVERFLOW':
      return problem(431, 'FORKSAFE_ERR_RELAY_TOO_LARGE', 'the head of the request is larger than 8 KiB')
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return problem(413, 'FORKSAFE_ERR_RELAY_TOO_LARGE', 'the chunks say too much beside their bytes')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return problem(
        408,
        'FORKSAFE_ERR_RELAY_REQUEST',
        'the request was not complete in time; nothing was taken',
      )
    default:
      return badRequest('this is no complete HTTP/1.1 request; nothing of it was taken')
  }
}
