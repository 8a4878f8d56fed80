// The request guard: finds WebSockets, and other connections that HTTP is upgraded to, dialled while a request was served.
// One such connection per request is what brings an upstream down. Seen through Node's own channels, whatever library
// dials. Which request code belongs to is request-scope.ts; where a socket came from, socket-origins.ts.
//
// Judged is not where it is dialled but a moment later, before anything of the upgrade is written: `waitUntil(work())`
// says only behind the first steps of the work that it is one.

import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import { Socket } from 'node:net'
import { type CallSite, readTrace, type Trace, takeTrace } from '../shared/call-site.js'
import {
  type ConnectCount,
  type ConnectInRequest,
  MAX_CONNECT_SITES,
  MAX_CONNECT_STACK,
  MAX_CONNECT_TEXT,
} from '../shared/connect-in-request.js'
import { ForksafeError } from '../shared/errors.js'
import { describeRequest, type RequestMark, type RequestScope } from './request-scope.js'
import type { DialledSockets } from './socket-origins.js'

export interface RequestGuardOptions {
  mode: ConnectInRequest['mode']
  scope: RequestScope
  sockets: DialledSockets
  tell: (report: ConnectInRequest) => void
}

/** What was there when it was dialled. */
interface Dial {
  mark: RequestMark | null
  trace: Trace | null
}

/** An upgrade that undici was asked for within a request. */
interface UndiciDial {
  /** Over which it goes. */
  sockets: Socket[]
  rejection: Error | null
}

/** What undici's channels hand out of a request, as far as it is used. */
interface UndiciRequest {
  origin?: unknown
  path?: unknown
  upgrade?: unknown
  onError?: unknown
}

export class RequestGuard {
  readonly #mode: ConnectInRequest['mode']
  readonly #scope: RequestScope
  readonly #sockets: DialledSockets
  readonly #tell: RequestGuardOptions['tell']
  readonly #dials = new WeakMap<object, Dial>()
  readonly #places = new Map<string, ConnectCount>()
  readonly #undiciDials = new WeakMap<object, UndiciDial>()
  /** undici dials in the same turn in which it takes a request: the sockets that come now are this one's. */
  #undiciTakes: UndiciDial | null = null

  constructor({ mode, scope, sockets, tell }: RequestGuardOptions) {
    this.#mode = mode
    this.#scope = scope
    this.#sockets = sockets
    this.#tell = tell
    scope.follow({ atOnce: mode === 'throw' })
    subscribe('http.client.request.created', (message) => this.#created(requestIn(message)))
    subscribe('http.client.request.start', (message) => this.#starting(requestIn(message)))
    subscribe('undici:request:create', (message) => this.#undiciCreated(undiciRequestIn(message)))
    subscribe('undici:client:sendHeaders', (message) => this.#undiciSending(message))
    if (mode === 'throw') subscribe('net.client.socket', (message) => this.#undiciConnects(message))
  }

  /** Places that dialled within requests, for the report. */
  counts(): ConnectCount[] {
    return [...this.#places.values()]
  }

  // --- Node's own client ------------------------------------------------------------------------------------------

  /** Node 22 and later: the place is on the stack. */
  #created(request: ClientRequest): void {
    if (!request.hasHeader('upgrade')) return
    const trace = takeTrace(this.#created)
    const mark = this.#scope.dialling(trace)
    this.#dials.set(request, { mark, trace: mark === null ? null : trace })
  }

  /** Its headers are about to go out; the library is on the stack, the place is not. */
  #starting(request: ClientRequest): void {
    if (!request.hasHeader('upgrade')) return
    const { socket } = request
    this.#sockets.upgrades(socket)
    const dial = this.#dials.get(request)
    const mark = dial === undefined ? this.#scope.mark : dial.mark
    if (mark === null || mark.isReleased) return
    const site =
      dial?.trace != null
        ? readTrace(dial.trace)
        : // A socket that another request dialled tells nothing of this one.
          request.reusedSocket
          ? null
          : this.#sockets.siteOf(socket)
    this.#found(mark, site, urlOf(request), (error) => request.destroy(error))
  }

  // --- undici, and Node's WebSocket -----------------------------------------------------------------------------

  #undiciCreated(request: UndiciRequest): void {
    if (!request.upgrade) return
    const trace = takeTrace(this.#undiciCreated)
    const mark = this.#scope.dialling(trace)
    if (mark === null) return
    const dial: UndiciDial = { sockets: [], rejection: null }
    this.#undiciTakes = dial
    this.#undiciDials.set(request, dial)
    process.nextTick(() => {
      if (this.#undiciTakes === dial) this.#undiciTakes = null
      if (mark.isReleased) return
      this.#found(mark, readTrace(trace), undiciUrlOf(request), (error) => {
        dial.rejection = error
        const { onError } = request
        if (typeof onError === 'function') Reflect.apply(onError, request, [error])
        for (const socket of dial.sockets) socket.destroy(error)
      })
    })
  }

  #undiciConnects(message: unknown): void {
    const { socket } = message as { socket?: unknown }
    if (socket instanceof Socket) this.#undiciTakes?.sockets.push(socket)
  }

  /** At once, over a connection that is there already, or when there is one. */
  #undiciSending(message: unknown): void {
    const { request, socket } = message as { request?: UndiciRequest; socket?: unknown }
    if (!request?.upgrade) return
    this.#sockets.upgrades(socket)
    const dial = this.#undiciDials.get(request)
    if (dial === undefined || !(socket instanceof Socket)) return
    if (dial.rejection === null) dial.sockets.push(socket)
    else socket.destroy(dial.rejection)
  }

  // --- What was found -------------------------------------------------------------------------------------------

  #found(mark: RequestMark, site: CallSite | null, url: string, reject: (error: Error) => void): void {
    if (site?.isModuleLevel) return
    const request = describeRequest(mark)
    this.#count(site, url, request)
    if (this.#mode === 'throw') reject(connectInRequest(url, request, site?.at ?? null))
  }

  #count(site: CallSite | null, url: string, request: string): void {
    const at = site?.at ?? null
    const key = at ?? url
    const known = this.#places.get(key)
    if (known !== undefined) {
      known.count++
      return
    }
    if (this.#places.size >= MAX_CONNECT_SITES) return
    const place = { at, url, request: request.slice(0, MAX_CONNECT_TEXT), count: 1 }
    this.#places.set(key, place)
    this.#tell({ ...place, stack: (site?.stack ?? '').slice(0, MAX_CONNECT_STACK), mode: this.#mode })
  }
}

const connectInRequest = (url: string, request: string, at: string | null): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST',
    `${url} was dialled within a request (${request})${at === null ? '' : `, at ${at}`}: each request would open a ` +
      'connection of its own. Make one client at module level, such as guardedClient(), and use it in every request; ' +
      'for work that outlives its response call waitUntil() first',
    { details: { url, request, at } },
  )

const requestIn = (message: unknown): ClientRequest => (message as { request: ClientRequest }).request
const undiciRequestIn = (message: unknown): UndiciRequest => (message as { request: UndiciRequest }).request

/** Without the query, which may hold secrets; `ws:` and `wss:` for WebSockets. */
const urlOf = (request: ClientRequest): string =>
  shownUrl(
    request.protocol === 'https:',
    request.getHeader('upgrade'),
    `${request.getHeader('host') ?? request.host}${request.path}`,
  )

const undiciUrlOf = ({ origin, path, upgrade }: UndiciRequest): string => {
  const text = String(origin)
  return shownUrl(/^(https|wss):/.test(text), upgrade, `${text.replace(/^\w+:\/\//, '')}${path}`)
}

const shownUrl = (isSecure: boolean, upgrade: unknown, target: string): string => {
  const scheme = String(upgrade).toLowerCase() === 'websocket' ? 'ws' : 'http'
  return `${scheme}${isSecure ? 's' : ''}://${target.split('?', 1)[0] ?? ''}`.slice(0, MAX_CONNECT_TEXT)
}
