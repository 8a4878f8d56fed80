// All accepted connections of this process, seen through Node's own diagnostics channels and server events: no method
// of http, https, http2 or net is replaced. What one connection is busy with: connection.ts.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { Server, Socket } from 'node:net'
import { monotonicNow } from '../shared/clock.js'
import { isOwnServer } from '../shared/own-server.js'
import { Connection } from './connection.js'

export interface Traffic {
  connections: number
  /** Requests and HTTP/2 streams that wait for their answer. */
  requests: number
  /** Upgraded sockets, event streams, connections of plain net servers. */
  longLived: number
  /** Connections on which nothing happens. */
  idle: number
  /** When a connection or request last began or ended, on the monotonic clock. */
  lastActivityAt: number
  /** Until then a connection that has not been used yet is likely to bring its first request; 0 without one. */
  freshUntil: number
}

/**
 * Who opens a connection is about to send something over it, but on a busy machine or a slow line that takes its time;
 * ended before, it would fail a client that does not retry. Browsers open some that they never use.
 */
const FRESH = 2_000

/** On a socket: its {@link Connection}. A property, because http2 hands out its socket only behind a proxy. */
const CONNECTION = Symbol('forksafe connection')

export class Connections {
  readonly #open = new Set<Connection>()
  #lastActivityAt = monotonicNow()
  #isDraining = false
  #changed: () => void = () => {}

  constructor() {
    subscribe('net.server.socket', this.#onSocket)
    subscribe('http.server.request.start', this.#onRequest)
    subscribe('http.server.response.finish', this.#onFinish)
  }

  uninstall(): void {
    unsubscribe('net.server.socket', this.#onSocket)
    unsubscribe('http.server.request.start', this.#onRequest)
    unsubscribe('http.server.response.finish', this.#onFinish)
  }

  /** To be called once for each server before it has connections. */
  watch(server: Server): void {
    server.on('secureConnection', (socket: Socket) => {
      const connection = connectionOf(socket)
      if (connection === undefined) return
      connection.socket = socket
      connection.isShakingHands = false
    })
    // At this moment the socket of a session without TLS has not been published yet.
    server.on('session', (session: ServerHttp2Session) => queueMicrotask(() => this.#onSession(session)))
  }

  traffic(): Traffic {
    const traffic: Traffic = {
      connections: this.#open.size,
      requests: 0,
      longLived: 0,
      idle: 0,
      lastActivityAt: this.#lastActivityAt,
      freshUntil: 0,
    }
    for (const connection of this.#open) {
      const { requests, longLived } = connection.work()
      traffic.requests += requests
      traffic.longLived += longLived
      if (requests + longLived > 0 || connection.isEnded) continue
      traffic.idle++
      if (!connection.wasUsed) traffic.freshUntil = Math.max(traffic.freshUntil, connection.since + FRESH)
    }
    return traffic
  }

  /** From now on each answer is the last of its connection; `changed` is called whenever the traffic has changed. */
  announceEnd(changed: () => void): void {
    this.#isDraining = true
    this.#changed = changed
    for (const connection of this.#open) connection.announceEnd()
  }

  endIdle(): void {
    for (const connection of this.#open) {
      const { requests, longLived } = connection.work()
      if (requests + longLived === 0 || connection.session) connection.end()
    }
  }

  /** Ends everything that is left and returns what that cut off. */
  endByForce(): { requests: number; upgraded: number } {
    const { requests, longLived } = this.traffic()
    for (const connection of this.#open) connection.endByForce()
    return { requests, upgraded: longLived }
  }

  readonly #onSocket = (message: unknown): void => {
    const socket = propertyOf(message, 'socket')
    if (!(socket instanceof Socket)) return
    if (!isOfOwnServer(socket)) this.#connected(socket)
  }

  /** For every request that a worker answers: what is not needed before a drain is not done before it. */
  readonly #onRequest = (message: unknown): void => {
    const { socket, response } = message as { socket?: unknown; response?: unknown }
    if (!(socket instanceof Socket) || !isServerResponse(response)) return
    const known = connectionOf(socket)
    // Ours are for other processes of ours: a drain that waited for them would wait for whoever goes on.
    if (known === undefined && isOfOwnServer(socket)) return
    const connection = known ?? this.#connected(socket)
    connection.wasUsed = true
    connection.responses.add(response)
    if (!this.#isDraining) return
    response.shouldKeepAlive = false
    this.#active()
  }

  /** A response that is not finished goes with its connection: #connected hears of that. */
  readonly #onFinish = (message: unknown): void => {
    const { socket, response } = message as { socket?: unknown; response?: unknown }
    if (!(socket instanceof Socket) || !isServerResponse(response)) return
    const connection = connectionOf(socket)
    if (connection === undefined) return
    connection.responses.delete(response)
    this.#active()
  }

  #onSession(session: ServerHttp2Session): void {
    const connection = session.destroyed ? undefined : connectionOf(session.socket)
    if (connection === undefined) return
    connection.session = session
    connection.wasUsed = true
    session.on('stream', (stream: ServerHttp2Stream) => {
      connection.streams.add(stream)
      this.#active()
      stream.once('close', () => {
        connection.streams.delete(stream)
        this.#active()
      })
    })
    if (this.#isDraining) connection.announceEnd()
  }

  #connected(socket: Socket): Connection {
    const server = propertyOf(socket, 'server')
    const isTls = typeof propertyOf(server, 'setSecureContext') === 'function'
    const connection = new Connection(
      socket,
      isTls && propertyOf(socket, 'encrypted') !== true,
      monotonicNow(),
    )
    Object.defineProperty(socket, CONNECTION, { value: connection })
    this.#open.add(connection)
    this.#active()
    socket.once('close', () => {
      this.#open.delete(connection)
      this.#active()
    })
    return connection
  }

  #active(): void {
    this.#lastActivityAt = monotonicNow()
    this.#changed()
  }
}

const connectionOf = (socket: object): Connection | undefined => {
  const known: unknown = (socket as { [CONNECTION]?: unknown })[CONNECTION]
  if (known instanceof Connection) return known
  // A TLS socket is not the one that was accepted, but knows it as its parent.
  const found = propertyOf(socket, CONNECTION) ?? propertyOf(propertyOf(socket, '_parent'), CONNECTION)
  return found instanceof Connection ? found : undefined
}

const isOfOwnServer = (socket: Socket): boolean => {
  const server = propertyOf(socket, 'server')
  return server instanceof Server && isOwnServer(server)
}

const propertyOf = (value: unknown, name: PropertyKey): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined

const isServerResponse = (value: unknown): value is ServerResponse =>
  typeof value === 'object' && value !== null && 'shouldKeepAlive' in value
