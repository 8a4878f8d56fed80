// The record of the sockets that this process dialled itself: where to, from which place of the code, for which client,
// within which request. What a socket is held for nobody else knows; that it is held, the kernel says (src/audit).
// Seen through Node's own channels. Those that never connected are not in it, nor those of the kernel's other doors (UDP, pipes).

import { subscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { type CallSite, placeIn, readTrace, type Trace, takeTrace } from '../shared/call-site.js'
import { monotonicNow } from '../shared/clock.js'
import { ownerOf, type SocketOwner } from '../shared/request-context.js'
import {
  MAX_ORIGIN_PORTS,
  MAX_ORIGIN_TEXT,
  MAX_ORIGINS,
  type SocketOrigin,
  type SocketOrigins,
} from '../shared/socket-origins.js'
import { describeRequest, type RequestMark, type RequestScope } from './request-scope.js'

interface Dialled {
  host: string | null
  port: number
  openedAt: number
  /** Until it is connected. */
  trace: Trace | null
  at: string | null
  via: string | null
  webSocket: boolean
  owner: SocketOwner | null
  mark: RequestMark | null
}

/** Groups whose closed sockets are remembered; what comes after them is forgotten when it closes. */
const MAX_CLOSED = 1_000

export class DialledSockets {
  readonly #scope: RequestScope
  readonly #records = new WeakMap<object, Dialled>()
  readonly #open = new Map<Socket, Dialled>()
  /** By group: how many are closed. */
  readonly #closed = new Map<string, { origin: SocketOrigin; count: number }>()

  /** Of packages that dial for a protected resource, by package and endpoint. */
  readonly #owners = new Map<string, SocketOwner>()

  constructor(scope: RequestScope) {
    this.#scope = scope
    subscribe('net.client.socket', (message) => {
      const { socket } = message as { socket?: unknown }
      if (socket instanceof Socket) this.#dialled(socket)
    })
    if (!ALL_IS_PUBLISHED) this.#followConnect()
  }

  /** Where it was dialled; null: not known. */
  siteOf(socket: unknown): CallSite | null {
    const record = socket instanceof Socket ? this.#records.get(socket) : undefined
    if (record === undefined) return null
    if (record.trace !== null) return readTrace(record.trace)
    return { at: record.at, stack: '', isModuleLevel: false, isHandler: false }
  }

  /** An upgrade is asked for on it. */
  upgrades(socket: unknown): void {
    const record = socket instanceof Socket ? this.#records.get(socket) : undefined
    if (record !== undefined) record.webSocket = true
  }

  /** The record in groups, those with the most open sockets first, within the bounds of a message. */
  report(): SocketOrigins {
    const groups = new Map<string, SocketOrigin>()
    for (const [key, { origin, count }] of this.#closed)
      groups.set(key, { ...origin, opened: count, closed: count, open: [] })
    const now = monotonicNow()
    let room = MAX_ORIGIN_PORTS
    for (const [socket, record] of this.#open) {
      const origin = originOf(socket, record)
      const key = keyOf(origin)
      const group = groups.get(key) ?? origin
      groups.set(key, group)
      group.opened++
      const { localPort } = socket
      if (localPort !== undefined && room-- > 0) group.open.push({ localPort, ageMs: now - record.openedAt })
    }
    return [...groups.values()].sort((a, b) => b.open.length - a.open.length).slice(0, MAX_ORIGINS)
  }

  /** In the middle of somebody's `connect()`: as little as possible. */
  #dialled(socket: Socket): void {
    const isUnderWay = this.#records.get(socket)?.trace != null || this.#open.has(socket)
    if (isUnderWay) return
    const trace = takeTrace(this.#dialled)
    const record: Dialled = {
      host: null,
      port: 0,
      openedAt: 0,
      trace,
      at: null,
      via: null,
      webSocket: false,
      mark: this.#scope.dialling(trace),
      owner: this.#scope.owner,
    }
    this.#records.set(socket, record)
    socket.once('lookup', (_error: unknown, _address: unknown, _family: unknown, host: unknown) => {
      if (typeof host === 'string') record.host = host.slice(0, MAX_ORIGIN_TEXT)
    })
    socket.once('connect', () => this.#connected(socket, record))
  }

  #connected(socket: Socket, record: Dialled): void {
    const { remotePort, remoteAddress } = socket
    // Read now: a trace keeps alive what its frames refer to.
    if (record.trace !== null) Object.assign(record, placeIn(record.trace))
    record.trace = null
    if (remotePort === undefined) return
    record.port = remotePort
    record.host ??= remoteAddress ?? null
    record.openedAt = monotonicNow()
    this.#inheritOwner(record)
    this.#open.set(socket, record)
    socket.once('close', () => this.#gone(socket, record))
  }

  /**
   * A pool that a protected resource opened dials again whenever it wants, in the context of whoever asked it: what the same
   * package dials to the same endpoint is that resource's. Not so with clients of WebSockets and of HTTP, which anybody uses.
   */
  #inheritOwner(record: Dialled): void {
    const { via, host, port } = record
    if (via === null || NOT_OF_ONE_OWNER.has(via)) return
    const key = `${via} ${host}:${port}`
    if (record.owner === null) record.owner = this.#owners.get(key) ?? null
    else if (this.#owners.size < MAX_CLOSED) this.#owners.set(key, record.owner)
  }

  #gone(socket: Socket, record: Dialled): void {
    this.#open.delete(socket)
    const origin = originOf(socket, record)
    const key = keyOf(origin)
    const group = this.#closed.get(key)
    if (group !== undefined) group.count++
    else if (this.#closed.size < MAX_CLOSED) this.#closed.set(key, { origin, count: 1 })
  }

  /**
   * Node 20 publishes no socket of `tls.connect()`, which is how wss: is dialled, and none of `new Socket().connect()`, which
   * is how drivers of databases dial. So that one method is laid around: it does what it did, and its socket is recorded.
   */
  #followConnect(): void {
    const { connect } = Socket.prototype
    const dialled = (socket: Socket): void => this.#dialled(socket)
    const followed = function (this: Socket, ...args: unknown[]): unknown {
      dialled(this)
      return Reflect.apply(connect, this, args)
    }
    Object.defineProperty(followed, 'name', { value: 'connect' })
    Reflect.set(Socket.prototype, 'connect', followed)
  }
}

const NOT_OF_ONE_OWNER: ReadonlySet<string> = new Set(['ws', 'http'])

const ALL_IS_PUBLISHED = Number.parseInt(process.versions.node, 10) >= 22

const originOf = (socket: Socket, record: Dialled): SocketOrigin => {
  const { host, port, at, via, webSocket, mark } = record
  const owner = record.owner ?? ownerOf(socket)
  return {
    host,
    port,
    at,
    via,
    webSocket,
    client: owner === null ? null : { name: owner.name, epoch: owner.epoch },
    inRequest: mark === null ? null : describeRequest(mark),
    opened: 0,
    closed: 0,
    open: [],
  }
}

/** What differs only in the path of a request is one group: there may be any number of paths. */
const keyOf = ({ host, port, at, via, webSocket, client, inRequest }: SocketOrigin): string =>
  JSON.stringify([host, port, at, via, webSocket, client?.name, client?.epoch, inRequest !== null])
