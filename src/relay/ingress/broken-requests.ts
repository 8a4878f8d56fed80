// What becomes of bytes that are no complete request: garbage, too large a head, one that came too slowly, CONNECT and
// Upgrade. Each is told so and its connection is ended, behind the answers that the connection still waits for.

import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { errnoOf } from '../../shared/config-file.js'
import { badRequest, type Problem, problem, rawProblem } from './problem.js'

/** The requests of each connection that have come whole and wait for their answer. */
export class Unanswered {
  readonly #responses = new WeakMap<Duplex, Set<ServerResponse>>()
  readonly #after = new WeakMap<Duplex, () => void>()
  readonly #rests: (socket: Socket) => void

  /** @param rests called when all of a connection are answered. */
  constructor(rests: (socket: Socket) => void) {
    this.#rests = rests
  }

  add(socket: Socket, response: ServerResponse): void {
    const known = this.#responses.get(socket)
    const responses = known ?? new Set()
    if (known === undefined) this.#responses.set(socket, responses)
    responses.add(response)
    response.once('close', () => {
      responses.delete(response)
      if (responses.size === 0) this.#rests(socket)
      const after = this.#after.get(socket)
      if (after !== undefined && this.#hasNone(socket)) after()
    })
  }

  /** Calls it once, when all are answered, or at once; a second call for the same connection does nothing. */
  whenNone(socket: Duplex, act: () => void): void {
    if (this.#after.has(socket)) return
    let isDone = false
    this.#after.set(socket, () => {
      if (!isDone) act()
      isDone = true
    })
    if (this.#hasNone(socket)) this.#after.get(socket)?.()
  }

  /** The one that is not whole is the one that is broken. */
  #hasNone(socket: Duplex): boolean {
    for (const response of this.#responses.get(socket) ?? []) if (response.req.complete) return false
    return true
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

/** ms for its reader to end the connection too: ended before it has read, it may see a reset and no answer. */
const LINGER = 500

/** Sends it and ends the connection, whether its other side does or not. */
export const lastWords = (socket: Duplex, why: Problem): void => {
  socket.on('error', () => {})
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const timer = setTimeout(() => socket.destroy(), LINGER).unref()
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
  socket.end(rawProblem(why))
  socket.resume()
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
