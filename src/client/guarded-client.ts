// The guarded WebSocket client: carries out what client-session.ts decides, keeps the promises, emits the events.
// One socket is attempt.ts; one client per name is client-registry.ts. It knows nothing of clusters.

import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { monotonicNow } from '../shared/clock.js'
import { type Duration, parseDuration, show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'
import { type ClientReport, type Resource, registerResource, resourceChanged } from '../shared/resources.js'
import { Attempt, type Sendable } from './attempt.js'
import { type GuardedClientOptions, type ParsedClientOptions, parseClientOptions } from './client-options.js'
import {
  ClientSession,
  type ConnectionEnd,
  type SessionEffect,
  type SessionEvent,
  type TimerName,
} from './client-session.js'
import type { ClientState } from './client-states.js'
import { type IncomingMessage, MessageStreams } from './message-stream.js'
import { type Waiter, Waiters } from './waiters.js'

/** Proof of what became of a message. `written`: handed to the kernel while the connection was alive, no more. */
export interface Receipt {
  level: 'written'
  epoch: number
  /** ms from `send()` to the receipt. */
  rtt: number
}

export interface ConnectOptions {
  /** Aborting rejects this call; the attempt is cancelled when nobody waits for it any more. */
  signal?: AbortSignal
}

export interface SendOptions {
  /** Aborting rejects this call as long as the message has not been written. */
  signal?: AbortSignal
  /** How long the message may wait to be written. Default: no bound of its own. */
  timeout?: Duration
}

/** `accepted = confirmed + rejected + pending`, at every instant. */
export interface ClientStats {
  accepted: number
  confirmed: number
  rejected: number
  pending: number
  pendingBytes: number
  reconnects: number
  epoch: number
}

export interface ClientEvents {
  connecting: [{ epoch: number }]
  opened: [{ epoch: number }]
  message: [data: string | Buffer, info: { isBinary: boolean; epoch: number }]
  /** A connection that had been open ended; what follows is told by `waiting`, `refused` or `closed`. */
  lost: [{ epoch: number; code: number; reason: string; message: string }]
  waiting: [{ delay: number; attempt: number; reason: string }]
  /** It will not try again by itself: `connect()` or `send()` begins anew. */
  refused: [{ error: ForksafeError }]
  stateChanged: [{ from: ClientState; to: ClientState; reason: string }]
  closed: []
}

interface Message extends Waiter<Receipt> {
  data: Sendable
  sentAt: number
}

/** Dials belong to no request: whatever a dial starts must not inherit the async context of who happened to ask. */
const outsideRequests = new AsyncResource('forksafe client')

export class GuardedClient extends EventEmitter<ClientEvents> implements AsyncDisposable {
  readonly name: string
  readonly #options: ParsedClientOptions
  readonly #session: ClientSession
  readonly #resource: Resource
  readonly #unregister: () => void
  readonly #timers = new Map<TimerName, NodeJS.Timeout>()
  readonly #connects = new Waiters<void>()
  readonly #messages = new Map<number, Message>()
  readonly #streams: MessageStreams
  readonly #whenGone: (() => void)[] = []
  readonly #whenFlushed: (() => void)[] = []
  readonly #closed: Promise<void>
  #tellClosed: () => void = () => {}
  #attempt: Attempt | null = null
  /** How many decisions are being carried out, one inside another. */
  #depth = 0
  readonly #announcements: (() => unknown)[] = []

  /** Use {@link guardedClient}: it keeps a name one connection. */
  constructor(name: string, options: GuardedClientOptions) {
    super()
    this.name = name
    this.#options = parseClientOptions(name, options)
    const { backoff, stableAfter, maxPending } = this.#options
    this.#session = new ClientSession({ backoff, stableAfter, maxPending, random: Math.random })
    this.#streams = new MessageStreams((isPaused) =>
      isPaused ? this.#attempt?.pause() : this.#attempt?.resume(),
    )
    this.#closed = new Promise((resolve) => {
      this.#tellClosed = resolve
    })
    this.#resource = this.#asResource()
    this.#unregister = registerResource(this.#resource)
  }

  get state(): ClientState {
    return this.#session.state
  }

  /**
   * Settles when the connection is open. All callers and triggers share one attempt.
   *
   * It rejects when that attempt fails; the client goes on trying by backoff all the same, until it is closed, refused
   * for good, or the last caller has aborted.
   *
   * @throws FORKSAFE_ERR_CLIENT_CONNECT_FAILED, _CONNECT_TIMEOUT (retryable): this attempt failed, another follows.
   * @throws FORKSAFE_ERR_CLIENT_CONNECT_REFUSED: no other attempt follows.
   * @throws FORKSAFE_ERR_CLIENT_ABORTED, FORKSAFE_ERR_CLIENT_CLOSED.
   */
  async connect({ signal }: ConnectOptions = {}): Promise<void> {
    this.#assertTaking('connect()')
    if (signal?.aborted) throw this.#aborted('connect()')
    const isOpen = this.#connects.wait(signal, () => {
      if (this.#connects.size === 0) this.#handle({ type: 'unwant' })
      return this.#aborted('connect()')
    })
    this.#handle({ type: 'want' })
    return isOpen
  }

  /**
   * Sends a message; while there is no connection it waits in the outbox, and one is dialled. Order is kept.
   *
   * @param data text as a string, or bytes; the bytes must not be changed before the promise has settled.
   * @returns a receipt of level `written`: what was handed to the kernel while the connection was alive. That the
   *   upstream has it is not proved by it.
   * @throws FORKSAFE_ERR_CLIENT_OUTBOX_FULL (retryable): nothing was taken.
   * @throws FORKSAFE_ERR_CLIENT_NOT_SENT, _SEND_TIMEOUT, _ABORTED: it was never written.
   * @throws FORKSAFE_ERR_CLIENT_FATE_UNKNOWN: the connection ended when it was written and not proved.
   * @throws FORKSAFE_ERR_CLIENT_MESSAGE_INVALID, FORKSAFE_ERR_CLIENT_CLOSED.
   */
  async send(data: Sendable, { signal, timeout }: SendOptions = {}): Promise<Receipt> {
    this.#assertTaking('send()')
    const bytes = sizeOf(this.name, data)
    const ms = timeout === undefined ? undefined : parseDuration('timeout of send()', timeout, { min: 1 })
    if (signal?.aborted) throw this.#aborted('send()')
    if (!this.#session.outbox.hasRoomFor(bytes)) throw this.#full(bytes)
    return new Promise((resolve, reject) => {
      // The outbox counts from 1, and this is the only place that adds to it.
      const sequence = this.#session.outbox.accepted + 1
      const undo: (() => void)[] = []
      const settle =
        <Value>(how: (value: Value) => void) =>
        (value: Value): void => {
          for (const step of undo) step()
          how(value)
        }
      this.#messages.set(sequence, {
        data,
        sentAt: monotonicNow(),
        resolve: settle(resolve),
        reject: settle(reject),
      })
      if (signal !== undefined) {
        const withdraw = (): void =>
          this.#withdraw(sequence, 'FORKSAFE_ERR_CLIENT_ABORTED', 'send() was aborted')
        signal.addEventListener('abort', withdraw, { once: true })
        undo.push(() => signal.removeEventListener('abort', withdraw))
      }
      if (ms !== undefined) {
        const why = `the message was not written within ${ms} ms`
        const timer = setTimeout(() => this.#withdraw(sequence, 'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT', why), ms)
        undo.push(() => clearTimeout(timer))
      }
      this.#handle({ type: 'send', bytes })
    })
  }

  /**
   * What comes in, for `for await`; it dials. Ends when the client is closed, not when a connection is lost. A consumer
   * that lags behind pauses the socket, for all consumers of this client.
   */
  messages(): AsyncIterableIterator<IncomingMessage> {
    this.#assertTaking('messages()')
    const stream = this.#streams.open()
    this.#handle({ type: 'want' })
    return stream
  }

  /**
   * Waits until everything accepted so far is settled, or the time is over. Takes no message away and closes nothing.
   *
   * @param options.timeout Default: the client's `drainTimeout`.
   * @returns how many messages were confirmed meanwhile, and how many are still pending. Never rejects for a slow peer.
   */
  async drain({ timeout }: { timeout?: Duration } = {}): Promise<{ confirmed: number; abandoned: number }> {
    const ms =
      timeout === undefined ? this.#options.drainTimeout : parseDuration('timeout of drain()', timeout)
    const before = this.#session.outbox.confirmed
    if (this.#session.outbox.pending > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#whenFlushed.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return { confirmed: this.#session.outbox.confirmed - before, abandoned: this.#session.outbox.pending }
  }

  /**
   * Takes no more, writes what is queued (`drainTimeout`), makes the close handshake (`closeTimeout`), destroys the
   * socket if the peer does not answer. Without a connection what is queued is rejected, not dialled for. Final; every
   * promise of this client has settled by then. A second call returns the same promise.
   */
  close(): Promise<void> {
    return this.#closeWith(1000, this.#options.drainTimeout, this.#options.closeTimeout)
  }

  /** Destroys the socket and closes the client: the upstream sees no Close frame. */
  terminate(): Promise<void> {
    this.#handle({ type: 'terminate' })
    return this.#closed
  }

  stats(): ClientStats {
    const { accepted, confirmed, rejected, pending, pendingBytes } = this.#session.outbox
    const { reconnects, epoch } = this.#session
    return { accepted, confirmed, rejected, pending, pendingBytes, reconnects, epoch }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // --- Carrying out ---------------------------------------------------------------------------------------------

  #handle(event: SessionEvent): void {
    this.#depth++
    for (const effect of this.#session.handle(event)) this.#carryOut(effect)
    this.#depth--
    this.#announce()
  }

  /**
   * Listeners are called when a decision has been carried out whole: what they call back may change everything.
   * What a listener throws is its own fault and ends the process as it would anywhere else.
   */
  #tell(announcement: () => unknown): void {
    this.#announcements.push(announcement)
    this.#announce()
  }

  #announce(): void {
    while (this.#depth === 0) {
      const announcement = this.#announcements.shift()
      if (announcement === undefined) return
      try {
        announcement()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
  }

  #carryOut(effect: SessionEffect): void {
    switch (effect.type) {
      case 'moved':
        return this.#moved(effect)
      case 'dial':
        return this.#dial(effect.epoch)
      case 'write':
        return this.#write(effect.epoch, effect.sequences)
      case 'closeSocket':
        return this.#attempt?.close(effect.code)
      case 'terminateSocket':
        return this.#attempt?.terminate()
      case 'setTimer':
        return this.#setTimer(effect.name, effect.ms)
      case 'clearTimer':
        return this.#clearTimer(effect.name)
      case 'confirmed':
        return this.#confirmed(effect.sequence, effect.epoch)
      case 'rejected':
        return this.#rejected(effect.sequence, effect.code, effect.why)
      case 'connected':
        return this.#connects.resolveAll()
      case 'connectFailed':
        return this.#connectFailed(effect.code, effect.why)
      case 'lost':
        return this.#lost(effect.epoch, effect.end)
      case 'waits': {
        const { delay, attempt, reason } = effect
        return this.#tell(() => this.emit('waiting', { delay, attempt, reason }))
      }
      case 'socketGone':
        for (const settle of this.#whenGone.splice(0)) settle()
    }
  }

  #moved({ from, to, reason }: Extract<SessionEffect, { type: 'moved' }>): void {
    this.#tell(() => this.emit('stateChanged', { from, to, reason }))
    const { epoch } = this.#session
    if (to === 'open') this.#tell(() => this.emit('opened', { epoch }))
    this.#tell(() => resourceChanged(this.#resource))
    if (to === 'closed') this.#ended()
  }

  #dial(epoch: number): void {
    const attempt = new Attempt(epoch, this.name, this.#options, {
      opened: () => this.#handle({ type: 'opened', epoch }),
      message: (data, isBinary) => this.#received({ data, isBinary, epoch }),
      gone: (end) => {
        if (this.#attempt === attempt) this.#attempt = null
        this.#handle({ type: 'gone', epoch, end })
      },
    })
    this.#attempt = attempt
    this.#tell(() => this.emit('connecting', { epoch }))
    outsideRequests.runInAsyncScope(() => attempt.dial())
    if (this.#streams.isPaused) attempt.pause()
  }

  #received(message: IncomingMessage): void {
    this.#streams.push(message)
    this.#tell(() => this.emit('message', message.data, { isBinary: message.isBinary, epoch: message.epoch }))
  }

  #write(epoch: number, sequences: readonly number[]): void {
    for (const sequence of sequences) {
      const message = this.#messages.get(sequence)
      if (message === undefined) continue
      this.#attempt?.send(message.data, () => this.#handle({ type: 'written', epoch, sequence }))
    }
  }

  #withdraw(sequence: number, code: ErrorCode, why: string): void {
    this.#handle({ type: 'withdraw', sequence, code, why })
  }

  #confirmed(sequence: number, epoch: number): void {
    const message = this.#settled(sequence)
    message?.resolve({ level: 'written', epoch, rtt: monotonicNow() - message.sentAt })
  }

  #rejected(sequence: number, code: ErrorCode, why: string): void {
    this.#settled(sequence)?.reject(this.#error(code, why))
  }

  #settled(sequence: number): Message | undefined {
    const message = this.#messages.get(sequence)
    this.#messages.delete(sequence)
    if (this.#session.outbox.pending === 0) for (const settle of this.#whenFlushed.splice(0)) settle()
    return message
  }

  #connectFailed(code: ErrorCode, why: string): void {
    const error = this.#error(code, why)
    this.#connects.rejectAll(error)
    if (code === 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED') this.#tell(() => this.emit('refused', { error }))
  }

  #lost(epoch: number, { code, reason, message }: ConnectionEnd): void {
    this.#tell(() => this.emit('lost', { epoch, code, reason, message }))
  }

  #ended(): void {
    this.#streams.end()
    this.#unregister()
    this.#tell(() => this.emit('closed'))
    this.#tellClosed()
  }

  #setTimer(name: TimerName, ms: number): void {
    this.#clearTimer(name)
    this.#timers.set(
      name,
      setTimeout(() => this.#handle({ type: 'timer', name }), ms),
    )
    // It changes a counter and is no reason to stay alive; the connection itself is.
    if (name === 'stable') this.#timers.get(name)?.unref()
  }

  #clearTimer(name: TimerName): void {
    clearTimeout(this.#timers.get(name))
    this.#timers.delete(name)
  }

  // --- For the process that owns it -----------------------------------------------------------------------------

  #asResource(): Resource {
    return {
      name: this.name,
      isWanted: () => this.#session.isWanted,
      isOpen: () => this.state === 'open',
      report: () => this.#report(),
      suspend: async ({ timeout }) => {
        this.#handle({ type: 'suspend', timeout })
        await this.#socketGone()
      },
      resume: () => this.#handle({ type: 'resume' }),
      shutDown: ({ timeout }) => this.#shutDown(timeout),
      closeSync: () => this.#attempt?.closeSync(GOING_AWAY),
    }
  }

  #report(): ClientReport {
    const { pending, confirmed } = this.#session.outbox
    const { state, epoch, reconnects } = this.#session
    return {
      name: this.name,
      identity: this.#options.identity,
      state,
      role: 'own',
      epoch,
      pending,
      confirmed,
      reconnects,
    }
  }

  #socketGone(): Promise<void> {
    return this.#session.hasSocket
      ? new Promise((resolve) => this.#whenGone.push(resolve))
      : Promise.resolve()
  }

  /** Half of the time for what is queued, the rest for the handshake; destroyed when it is over, whoever closes it. */
  async #shutDown(timeout: number): Promise<void> {
    const { drainTimeout, closeTimeout } = this.#options
    const overdue = setTimeout(() => this.#handle({ type: 'terminate' }), timeout)
    const flush = Math.min(drainTimeout, timeout / 2)
    await this.#closeWith(GOING_AWAY, flush, Math.min(closeTimeout, timeout))
    clearTimeout(overdue)
  }

  #closeWith(code: number, drainTimeout: number, closeTimeout: number): Promise<void> {
    this.#handle({ type: 'close', code, drainTimeout, closeTimeout })
    return this.#closed
  }

  // --- Errors ---------------------------------------------------------------------------------------------------

  #assertTaking(what: string): void {
    if (!this.#session.isTaking)
      throw this.#error('FORKSAFE_ERR_CLIENT_CLOSED', `${what}: the client is ${this.state}`)
  }

  #aborted(what: string): ForksafeError {
    return this.#error('FORKSAFE_ERR_CLIENT_ABORTED', `${what} was aborted`)
  }

  #full(bytes: number): ForksafeError {
    const { pending, pendingBytes } = this.#session.outbox
    const { count, bytes: limit } = this.#options.maxPending
    return this.#error(
      'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
      `${pending} of ${count} messages and ${pendingBytes} of ${limit} bytes are pending, ${bytes} more do not fit; send less, or raise maxPending`,
    )
  }

  #error(code: ErrorCode, why: string): ForksafeError {
    return new ForksafeError(code, `client ${show(this.name)}: ${why}`, {
      details: { client: this.name, state: this.state },
    })
  }
}

/** RFC 6455 section 7.4.1: an endpoint is going away. */
const GOING_AWAY = 1001

const sizeOf = (name: string, data: unknown): number => {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer) return data.byteLength
  throw new ForksafeError(
    'FORKSAFE_ERR_CLIENT_MESSAGE_INVALID',
    `client ${show(name)}: send() takes a string, a Buffer, a typed array or an ArrayBuffer, not ${data === null ? 'null' : typeof data}; use JSON.stringify() for an object`,
    { details: { client: name } },
  )
}
