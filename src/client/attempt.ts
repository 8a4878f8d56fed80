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
import { tellSecrets } from '../shared/secrets.js'
import {
  type ClientSessionHandle,
  checkHeaders,
  checkUrl,
  type ParsedClientOptions,
  withoutSecrets,
} from './client-options.js'
import { secretsOf } from './client-secrets.js'
import type { ConnectionEnd } from './client-session.js'

export type Sendable = string | NodeJS.ArrayBufferView | ArrayBuffer

export interface AttemptEvents {
  opened(): void
  message(data: string | Buffer, isBinary: boolean): void
  gone(end: ConnectionEnd): void
}

type Failure = Pick<ConnectionEnd, 'error' | 'message'> & { status: number | null; retryAfter: number | null }

export class Attempt {
  readonly epoch: number
  readonly #name: string
  readonly #options: ParsedClientOptions
  readonly #events: AttemptEvents
  readonly #over = new AbortController()
  #socket: WebSocket | null = null
  #tcp: Socket | null = null
  #deadline: NodeJS.Timeout | undefined
  readonly #begunAt = monotonicNow()
  #isOpen = false
  #isGone = false
  /** Whether there is a TCP connection, so that the upstream may know of us. */
  #isOnTheWire = false
  /** Set when it shall be closed, at the latest as soon as it is open. */
  #closeCode: number | null = null
  #failure: Failure | null = null
  #target = ''

  constructor(epoch: number, name: string, options: ParsedClientOptions, events: AttemptEvents) {
    this.epoch = epoch
    this.#name = name
    this.#options = options
    this.#events = events
  }

  /** Begins; from here on `gone` is certain to come. */
  dial(): void {
    this.#expireIn(this.#options.connectTimeout)
    this.#prepare().then(
      ({ url, headers }) => {
        if (!this.#over.signal.aborted) this.#open(url, headers)
      },
      (error: unknown) => this.#fail(failed(`url or headers could not be had: ${messageOf(error)}`)),
    )
  }

  #expireIn(ms: number): void {
    const { connectTimeout } = this.#options
    this.#deadline = setTimeout(() => {
      const why = `${this.#target || 'the connection'} was not open within ${connectTimeout} ms`
      this.#fail({
        error: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT',
        message: why,
        status: null,
        retryAfter: null,
      })
    }, ms)
  }

  /** `onWritten` is called when the bytes were handed on while the connection was alive; otherwise `gone` tells. */
  send(data: Sendable, onWritten: () => void): void {
    this.#socket?.send(data, (error) => {
      if (!error && this.#isAlive) onWritten()
    })
  }

  /**
   * The close handshake; who told it so bounds it. While the upgrade is on its way the upstream may count a connection
   * already, and before its answer no Close frame can be sent: the answer is waited for.
   */
  close(code: number): void {
    this.#closeCode = code
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.close(code)
    else if (!this.#isOnTheWire) this.terminate()
  }

  /** Destroys whatever there is. */
  terminate(): void {
    if (this.#isGone) return
    this.#over.abort()
    if (this.#socket !== null) this.#socket.terminate()
    else queueMicrotask(() => this.#gone(1006, ''))
  }

  /** A Close frame in the last moment of the process: written at once if the kernel takes it. */
  closeSync(code: number): void {
    if (this.#isOpen) this.#socket?.close(code)
  }

  pause(): void {
    if (this.#isOpen) this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  get #isAlive(): boolean {
    return !this.#isGone && !this.#over.signal.aborted && this.#tcp?.destroyed === false
  }

  /** Headers are asked for last: what they hold of credentials may not live as long as the wait before. */
  async #prepare(): Promise<{ url: URL; headers: Readonly<Record<string, string>> }> {
    const { url: given, headers } = this.#options
    const field = (option: string): string => `${option} of client ${this.#name}`
    const url = checkUrl(field('url'), typeof given === 'function' ? await given() : given)
    await this.#awaitTurn(url.origin)
    const extra = typeof headers === 'function' ? await headers() : headers
    const target = { url, headers: checkHeaders(field('headers'), extra) }
    // Before the first packet: what fails from here on may be written to a log with what was dialled.
    tellSecrets(secretsOf(target.url, target.headers))
    return target
  }

  /** The deadline stands still: that others dial before us is not the upstream's doing. */
  async #awaitTurn(origin: string): Promise<void> {
    const turn = this.#over.signal.aborted ? null : passDialGate({ origin, signal: this.#over.signal })
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
      // A redirect could lead credentials anywhere.
      followRedirects: false,
      finishRequest: (request) => {
        request.once('socket', (tcp) => tcp.once('connect', () => (this.#isOnTheWire = true)))
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
    socket.on('open', () => this.#opened(socket))
    socket.on('message', (data, isBinary) =>
      this.#events.message(isBinary ? toBuffer(data) : String(toBuffer(data)), isBinary),
    )
    socket.on('close', (code, reason) => this.#gone(code, reason.toString('utf8')))
  }

  /** Without a hook at once: the first message may have come in the same packet as the upgrade. */
  #opened(socket: WebSocket): void {
    const { afterConnect } = this.#options
    if (this.#closeCode !== null) return socket.close(this.#closeCode)
    if (afterConnect === undefined) return this.#ready(socket)
    const session: ClientSessionHandle = {
      epoch: this.epoch,
      protocol: socket.protocol,
      signal: this.#over.signal,
      send: (data) =>
        new Promise((resolve, reject) => socket.send(data, (error) => (error ? reject(error) : resolve()))),
    }
    const run = async (): Promise<unknown> => afterConnect(session)
    run().then(
      () => this.#ready(socket),
      (error: unknown) => this.#fail(failed(`afterConnect failed: ${messageOf(error)}`)),
    )
  }

  #ready(socket: WebSocket): void {
    if (this.#isGone || this.#over.signal.aborted || socket.readyState !== WebSocket.OPEN) return
    clearTimeout(this.#deadline)
    this.#isOpen = true
    this.#events.opened()
  }

  #refused(response: IncomingMessage): void {
    const status = response.statusCode ?? 0
    const wait = retryAfterOf(response.headers['retry-after'])
    const isRedirect = status >= 300 && status < 400
    this.#fail({
      error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
      message: `${this.#target} answered the upgrade with ${status}${isRedirect ? ' (redirects are not followed)' : ''}`,
      status,
      retryAfter: status === 429 || status === 503 ? wait : null,
    })
    // With a listener for this event `ws` leaves the response and the socket to us.
    response.on('error', () => {})
    response.resume()
  }

  #fail(failure: Failure): void {
    if (this.#isGone) return
    // The first reason is the cause; what follows it is the consequence of our own terminate().
    this.#failure = this.#failure?.status != null ? this.#failure : failure
    this.terminate()
  }

  #gone(code: number, reason: string): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#over.abort()
    clearTimeout(this.#deadline)
    this.#events.gone(this.#endOf(code, reason))
  }

  #endOf(code: number, reason: string): ConnectionEnd {
    const { shouldReconnect } = this.#options
    if (this.#isOpen) {
      const said = reason === '' ? '' : ` ${JSON.stringify(reason)}`
      const why = this.#failure === null ? '' : ` (${this.#failure.message})`
      const isFatal = !shouldReconnect({ status: null, code, reason })
      return {
        error: null,
        code,
        reason,
        isFatal,
        retryAfter: null,
        message: `closed with code ${code}${said}${why}`,
      }
    }
    const closedEarly = `${this.#target || 'the attempt'} was closed with code ${code} before it was open`
    const { error, message, status, retryAfter } = this.#failure ?? failed(closedEarly)
    // A close code before `afterConnect` is done is the server's answer to it.
    const isFatal = !shouldReconnect({ status, code: this.#tcp === null ? null : code, reason })
    return {
      error: error ?? 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
      code,
      reason,
      isFatal,
      retryAfter,
      message,
    }
  }
}

const failed = (message: string): Failure => ({
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
  message,
  status: null,
  retryAfter: null,
})

/** Seconds or an HTTP date (RFC 9110 section 10.2.3) as ms from now; null if it is neither. */
const retryAfterOf = (header: string | undefined): number | null => {
  if (header === undefined) return null
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) && ms > 0 ? ms : null
}

const toBuffer = (data: Buffer | ArrayBuffer | Buffer[]): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)
