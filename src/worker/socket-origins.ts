// The record of the sockets that this process dialled itself: where to, from which place of the code, for which client,
// within which request. What a socket is held for nobody else knows; that it is held, the kernel says (src/audit).
// Seen through Node's own channels. Those that never connected are not in it, nor those of the kernel's other doors (UDP, pipes).

import { subscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import tls from 'node:tls'
import { type CallSite, readTrace, type Trace, takeTrace } from '../shared/call-site.js'
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
  localPort: number
  openedAt: number
  site: Trace | CallSite
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

  constructor(scope: RequestScope) {
    this.#scope = scope
    subscribe('net.client.socket', (message) => {
      const { socket } = message as { socket?: unknown }
      if (socket instanceof Socket) this.#dialled(socket)
    })
    if (!TLS_IS_PUBLISHED) this.#followTls()
  }

  /** Where it was dialled; null: not known. */
  siteOf(socket: unknown): CallSite | null {
    const record = socket instanceof Socket ? this.#records.get(socket) : undefined
    return record === undefined ? null : siteOf(record)
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
      if (room-- > 0) group.open.push({ localPort: record.localPort, ageMs: now - record.openedAt })
    }
    return [...groups.values()].sort((a, b) => b.open.length - a.open.length).slice(0, MAX_ORIGINS)
  }

  /** In the middle of somebody's `connect()`: as little as possible. */
  #dialled(socket: Socket): void {
    if (this.#records.has(socket)) return
    const trace = takeTrace(this.#dialled)
    const record: Dialled = {
      host: null,
      port: 0,
      localPort: 0,
      openedAt: 0,
      site: trace,
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
    const { remotePort, localPort, remoteAddress } = socket
    // Read now: a trace keeps alive what its frames refer to.
    record.site = siteOf(record)
    if (remotePort === undefined || localPort === undefined) return
    record.port = remotePort
    record.localPort = localPort
    record.host ??= remoteAddress ?? null
    record.openedAt = monotonicNow()
    this.#open.set(socket, record)
    socket.once('close', () => this.#gone(socket, record))
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
   * Node 20 publishes no socket of `tls.connect()`, and wss: is what most clients dial. So that one function is laid
   * around: it does what it did, and its socket is recorded.
   */
  #followTls(): void {
    const { connect } = tls
    const followed = (...args: unknown[]): unknown => {
      const socket: unknown = Reflect.apply(connect, tls, args)
      if (socket instanceof Socket) this.#dialled(socket)
      return socket
    }
    Object.defineProperty(followed, 'name', { value: 'connect' })
    Reflect.set(tls, 'connect', followed)
  }
}

const TLS_IS_PUBLISHED = Number.parseInt(process.versions.node, 10) >= 22

const siteOf = (record: Dialled): CallSite => {
  const site = 'isHandler' in record.site ? record.site : readTrace(record.site)
  record.site = site
  return site
}

const originOf = (socket: Socket, record: Dialled): SocketOrigin => {
  const { host, port, webSocket, mark } = record
  const owner = record.owner ?? ownerOf(socket)
  return {
    host,
    port,
    at: siteOf(record).at,
    via: siteOf(record).via,
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
