// One attempt to connect and, if it succeeds, its connection: the only file that touches `ws`.
// It decides nothing: it does as it is told, reports `opened` at most once and `gone` exactly once, with its epoch.
//
// What has to be known of `ws`: its handshakeTimeout is an idle timer that a trickling server never lets fire, so the
// deadline here is a timer of our own; terminate() while connecting emits 'error' a tick later, so an error listener
// stays until 'close'; the callback of a write that was under way reports success when the socket is destroyed, so
// callbacks of a destroyed socket are not believed.

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { monotonicNow } from '../shared/clock.js'
import { passDialGate } from '../shared/dial-gate.js'
import { messageOf } from '../shared/errors.js'
import { ownSocket } from '../shared/request-context.js'
import { tellSecrets } from '../shared/secrets.js'
import { AuthenticationSession } from './authentication-session.js'
import type { AttemptInfo, ParsedClientOptions } from './client-options.js'
import { secretsOf } from './client-secrets.js'
import { checkHeaders, checkUrl, withoutSecrets } from './client-target.js'
import type { Connection, ConnectionEvents, Sendable } from './connection.js'
import { connectionEnd, type Failure, failed, overdue, refused } from './connection-end.js'
import { Ending } from './ending.js'
import { PingAnswers } from './ping-answers.js'

export class Attempt implements Connection {
  readonly epoch: number
  heardAt = 0
  readonly #name: string
  readonly #options: ParsedClientOptions
  readonly #events: ConnectionEvents
  readonly #over = new Ending(OVER)
  #socket: WebSocket | null = null
  #tcp: Socket | null = null
  #session: AuthenticationSession | null = null
  #deadline: NodeJS.Timeout | undefined
  readonly #begunAt = monotonicNow()
  #isOpen = false
  #isGone = false
  #isCorked = false
  #isKeptAlive = false
  /** Whether there is a TCP connection, so that the upstream may know of us. */
  #isOnTheWire = false
  /** Set when it shall be closed, at the latest as soon as it is open. */
  #closeCode: number | null = null
  #failure: Failure | null = null
  #target = ''
  readonly #info: AttemptInfo

  constructor(
    epoch: number,
    name: string,
    options: ParsedClientOptions,
    events: ConnectionEvents,
    info: AttemptInfo,
  ) {
    this.epoch = epoch
    this.#info = info
    this.#name = name
    this.#options = options
    this.#events = events
  }

  dial(): void {
    this.#expireIn(this.#options.connectTimeout)
    this.#prepare().then(
      ({ url, headers }) => {
        if (!this.#over.isOver) this.#open(url, headers)
      },
      (error: unknown) => this.#fail(failed(`url or headers could not be had: ${messageOf(error)}`)),
    )
  }

  #expireIn(ms: number): void {
    const { connectTimeout } = this.#options
    this.#deadline = setTimeout(() => {
      this.#fail(overdue(`${this.#target || 'the connection'} was not open within ${connectTimeout} ms`))
    }, ms)
  }

  send(data: Sendable, onFlushed: (() => void) | null): void {
    if (!this.#isAlive) return
    this.#cork()
    this.#socket?.send(data, (error) => {
      if (onFlushed !== null && !error && this.#isAlive) onFlushed()
    })
  }

  ping(payload: string): void {
    if (!this.#isAlive || this.#socket?.readyState !== WebSocket.OPEN) return
    this.#keepAlive()
    this.#cork()
    this.#socket.ping(payload, undefined, () => {})
  }

  /**
   * A dead host is found by the kernel too, where a peer answers no pings. With the first ping and not before: it is a
   * few system calls, and somebody waits for the connection.
   */
  #keepAlive(): void {
    const { heartbeatInterval } = this.#options
    if (this.#isKeptAlive || heartbeatInterval === 0) return
    this.#isKeptAlive = true
    this.#tcp?.setKeepAlive(true, heartbeatInterval)
  }

  pong(): void {
    if (this.#isAlive && this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.pong('', undefined, () => {})
  }

  /** Frames of one turn in one packet, not in one each. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#tcp?.cork()
  }

  flush(): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#tcp?.uncork()
  }

  /**
   * While the upgrade is on its way the upstream may count a connection already, and before its answer no Close frame
   * can be sent: the answer is waited for.
   */
  close(code: number): void {
    this.#closeCode = code
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.close(code)
    else if (!this.#isOnTheWire) this.terminate(null)
  }

  terminate(why: string | null): void {
    if (this.#isGone) return
    if (why !== null) this.#failure ??= failed(why)
    this.#over.end()
    if (this.#socket !== null) this.#socket.terminate()
    else queueMicrotask(() => this.#gone(1006, ''))
  }

  closeSync(code: number): void {
    if (!this.#isOpen) return
    this.flush()
    this.#socket?.close(code)
  }

  pause(): void {
    if (this.#isOpen) this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  get isWritable(): boolean {
    return this.#isAlive && this.#socket?.readyState === WebSocket.OPEN
  }

  get #isAlive(): boolean {
    return !this.#isGone && !this.#over.isOver && this.#tcp?.destroyed === false
  }

  /** Headers are asked for last: what they hold of credentials may not live as long as the wait before. */
  async #prepare(): Promise<{ url: URL; headers: Readonly<Record<string, string>> }> {
    const { url: given, headers } = this.#options
    const field = (option: string): string => `${option} of client ${this.#name}`
    const url = checkUrl(field('url'), typeof given === 'function' ? await given(this.#info) : given)
    await this.#awaitTurn(url.origin)
    const extra = typeof headers === 'function' ? await headers(this.#info) : headers
    const target = { url, headers: checkHeaders(field('headers'), extra) }
    // Before the first packet: what fails from here on may be written to a log with what was dialled.
    tellSecrets(secretsOf(target.url, target.headers))
    return target
  }

  /** The deadline stands still: that others dial before us is not the upstream's doing. */
  async #awaitTurn(origin: string): Promise<void> {
    const turn = this.#over.isOver ? null : passDialGate(origin, () => this.#over.signal)
    if (turn === null) return
    const left = this.#options.connectTimeout - (monotonicNow() - this.#begunAt)
    clearTimeout(this.#deadline)
    await turn
    this.#over.signal.throwIfAborted()
    this.#expireIn(Math.max(0, left))
  }

  #open(url: URL, headers: Readonly<Record<string, string>>): void {
    const { protocols, tls, maxPayload, closeTimeout, ws } = this.#options
    this.#target = withoutSecrets(url)
    const socket = new WebSocket(url, protocols, {
      ...ws,
      ...tls,
      // Its own timer for the close handshake, which is not ours to shorten: behind ours, so that ours decides.
      ...{ closeTimeout: closeTimeout + 1_000 },
      headers,
      maxPayload,
      // Memory and CPU per connection, and known leaks, for text that is small as a rule.
      perMessageDeflate: false,
      // ping-answers.ts does it.
      autoPong: false,
      // A redirect could lead credentials anywhere.
      followRedirects: false,
      finishRequest: (request) => {
        request.once('socket', (tcp) => {
          ownSocket(tcp, { name: this.#name, epoch: this.epoch })
          tcp.once('connect', () => (this.#isOnTheWire = true))
        })
        request.end()
      },
    })
    this.#socket = socket
    socket.on('error', (error) => {
      this.#failure ??= failed(`${this.#target}: ${messageOf(error)}`)
    })
    socket.on('unexpected-response', (_request, response) => this.#refused(response))
    socket.on('upgrade', (response) => {
      this.#tcp = response.socket
    })
    socket.on('open', () => this.#upgraded(socket))
    socket.on('message', (data, isBinary) => this.#received(toBuffer(data), isBinary))
    const pings = new PingAnswers((payload, done) => {
      if (socket.readyState === WebSocket.OPEN) socket.pong(payload, undefined, done)
    })
    socket.on('ping', (payload) => pings.pinged(payload))
    socket.on('pong', (payload) => this.#events.pong(payload.toString('latin1')))
    socket.on('close', (code, reason) => this.#gone(code, reason.toString('utf8')))
  }

  /** Without a hook at once: the first message may have come in the same packet as the upgrade. */
  #upgraded(socket: WebSocket): void {
    const { afterConnect } = this.#options
    if (this.#closeCode !== null) return socket.close(this.#closeCode)
    this.#listenForLife()
    if (afterConnect === undefined) return this.#ready(socket)
    const about = { epoch: this.epoch, protocol: socket.protocol, ...this.#info }
    const session = new AuthenticationSession(about, this.#over.signal, (data) => written(socket, data))
    this.#session = session
    const run = async (): Promise<unknown> => afterConnect(session)
    run()
      .finally(() => (this.#session = null))
      .then(
        () => this.#ready(socket),
        (error: unknown) => this.#fail(failed(`afterConnect failed: ${messageOf(error)}`)),
      )
  }

  #listenForLife(): void {
    this.heardAt = monotonicNow()
    this.#tcp?.on('data', () => (this.heardAt = monotonicNow()))
  }

  #ready(socket: WebSocket): void {
    if (this.#isGone || this.#over.isOver || socket.readyState !== WebSocket.OPEN) return
    clearTimeout(this.#deadline)
    this.#isOpen = true
    this.#events.opened()
  }

  #received(data: Buffer, isBinary: boolean): void {
    const message = isBinary ? data : data.toString('utf8')
    this.#session?.push(message)
    this.#events.message(message, isBinary)
  }

  #refused(response: IncomingMessage): void {
    this.#fail(refused(this.#target, response.statusCode ?? 0, response.headers['retry-after']))
    // With a listener for this event `ws` leaves the response and the socket to us.
    response.on('error', () => {})
    response.resume()
  }

  #fail(failure: Failure): void {
    if (this.#isGone) return
    // The first reason is the cause; what follows it is the consequence of our own terminate().
    this.#failure ??= failure
    this.terminate(null)
  }

  #gone(code: number, reason: string): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#over.end()
    clearTimeout(this.#deadline)
    this.#events.gone(
      connectionEnd({
        wasOpen: this.#isOpen,
        wasUpgraded: this.#tcp !== null,
        code,
        reason,
        failure: this.#failure,
        target: this.#target,
        shouldReconnect: this.#options.shouldReconnect,
      }),
    )
  }
}

const OVER = new Error('the attempt, or its connection, is over')

const written = (socket: WebSocket, data: Sendable): Promise<void> =>
  new Promise((resolve, reject) => socket.send(data, (error) => (error ? reject(error) : resolve())))

const toBuffer = (data: Buffer | ArrayBuffer | Buffer[]): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)
