// The guarded WebSocket client as its users see it: calls, promises, events. What happens is decided in
// client-session.ts and carried out in session-runner.ts; one client per name is client-registry.ts. It knows nothing of
// clusters.

import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import { type Duration, parseDuration } from '../shared/duration.js'
import type { ErrorCode, ForksafeError } from '../shared/errors.js'
import { leaseProvider } from '../shared/lease-provider.js'
import { type ClientReport, type Resource, registerResource, resourceChanged } from '../shared/resources.js'
import { type ClientErrors, clientErrors } from './client-error.js'
import { Announcer, type ClientEvents } from './client-events.js'
import type { GuardedClientOptions, ParsedClientOptions } from './client-options.js'
import type { ClientState } from './client-states.js'
import type { Sendable } from './connection.js'
import { type Environment, nodeEnvironment } from './environment.js'
import { Exclusivity } from './exclusivity.js'
import type { IncomingMessage } from './message-stream.js'
import type { ReceiptLevel } from './outbox.js'
import type { Outgoing } from './outgoing.js'
import { parseClientOptions } from './parse-client-options.js'
import { NO_OPTIONS, type Receipt, type SendOptions } from './send-options.js'
import { Sending } from './sending.js'
import type { SessionReport } from './session-effects.js'
import { type SessionListener, SessionRunner } from './session-runner.js'
import { Waiters } from './waiters.js'

export interface ConnectOptions {
  /** Aborting rejects this call; the attempt is cancelled when nobody waits for it any more. */
  signal?: AbortSignal
}

/** `accepted = confirmed + rejected + pending`, at every instant. */
export interface ClientStats {
  accepted: number
  confirmed: number
  rejected: number
  pending: number
  pendingBytes: number
  /** How many `send()` wait for room in the outbox: not accepted yet. */
  waitingForRoom: number
  reconnects: number
  /** Number of the last attempt. */
  epoch: number
  /** ms that the last ping took; null before the first answer. */
  rtt: number | null
  /** What a receipt says at best without an acknowledgement; null as long as it is not known. */
  receipts: Exclude<ReceiptLevel, 'processed'> | null
}

export interface DrainResult {
  /** Messages that were confirmed meanwhile. */
  confirmed: number
  /** Messages of before that are still pending, or were rejected meanwhile. */
  abandoned: number
}

export class GuardedClient extends EventEmitter<ClientEvents> implements AsyncDisposable {
  readonly name: string
  readonly #options: ParsedClientOptions
  readonly #environment: Environment
  readonly #runner: SessionRunner<Outgoing>
  readonly #sending: Sending
  readonly #error: ClientErrors
  readonly #announcer: Announcer
  readonly #exclusivity: Exclusivity | null
  readonly #resource: Resource
  readonly #unregister: () => void
  readonly #connects = new Waiters<void>()
  readonly #whenGone: (() => void)[] = []
  readonly #drains = new Set<{ upTo: number; done: () => void }>()
  readonly #closed: Promise<void>
  #tellClosed: () => void = () => {}

  /** Use {@link guardedClient}: it keeps a name one connection. */
  constructor(name: string, options: GuardedClientOptions, environment: Environment = nodeEnvironment) {
    super()
    this.name = name
    this.#options = parseClientOptions(name, options)
    this.#environment = environment
    this.#error = clientErrors(name, () => this.state)
    this.#announcer = new Announcer(name, this)
    this.#exclusivity = this.#makeExclusivity()
    const listener: SessionListener<Outgoing> = {
      report: (report) => this.#report(report),
      dialling: (epoch) => this.#announcer.tell('connecting', { epoch }),
      message: (message) => {
        this.#exclusivity?.received(message)
        this.#received(message)
      },
      lease: (act) => this.#exclusivity?.carryOut(act),
      settled: () => this.#settled(),
    }
    this.#runner = new SessionRunner(name, this.#options, environment, listener, this.#exclusivity)
    this.#sending = new Sending({
      outbox: this.#session.outbox,
      options: this.#options,
      environment,
      error: this.#error,
      handle: (event) => this.#runner.handle(event),
      refusal: () => this.#session.refusal,
    })
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
   * for good, or the last caller has aborted. After a refusal only this call (or `messages()`) tries again, and not
   * before the backoff is over.
   *
   * @throws FORKSAFE_ERR_CLIENT_CONNECT_FAILED, _CONNECT_TIMEOUT (retryable): this attempt failed, another follows.
   * @throws FORKSAFE_ERR_CLIENT_CONNECT_REFUSED, _SUPERSEDED: no other attempt follows.
   * @throws FORKSAFE_ERR_CLIENT_ABORTED, FORKSAFE_ERR_CLIENT_CLOSED.
   */
  async connect({ signal }: ConnectOptions = {}): Promise<void> {
    this.#assertTaking('connect()')
    if (signal?.aborted) throw this.#aborted(signal)
    const isOpen = this.#connects.wait(signal, () => {
      // Who iterates over messages() waits for it as well.
      if (this.#connects.size === 0 && this.#runner.streams.isEmpty) this.#runner.handle({ type: 'unwant' })
      return this.#aborted(signal)
    })
    this.#runner.handle({ type: 'want', isExplicit: true })
    return isOpen
  }

  /**
   * Sends a message; while there is no connection it waits in the outbox, and one is dialled. Order is kept.
   *
   * @param data text as a string, or bytes; the bytes must not be changed before the promise has settled.
   * @returns a receipt. By default it is `received`: a ping behind the message was answered, so the endpoint that ends
   *   this WebSocket connection has read it (RFC 6455 sections 5.4, 5.5.2). That is the peer's WebSocket layer, or a
   *   proxy that stands in for it; what the application did with it only `processed` says.
   * @throws FORKSAFE_ERR_CLIENT_OUTBOX_FULL (retryable): nothing was taken.
   * @throws FORKSAFE_ERR_CLIENT_NOT_SENT, _SEND_TIMEOUT, _EXPIRED, _ABORTED: it was never written.
   * @throws FORKSAFE_ERR_CLIENT_FATE_UNKNOWN: it was written and not proved; sending it again may double it.
   * @throws FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE: `level: 'received'`, which this peer cannot prove.
   * @throws FORKSAFE_ERR_CLIENT_CONNECT_REFUSED, _SUPERSEDED: the upstream wants no connection; see `connect()`.
   * @throws FORKSAFE_ERR_CLIENT_MESSAGE_INVALID, FORKSAFE_ERR_CLIENT_CLOSED.
   */
  send(data: Sendable, options: SendOptions = NO_OPTIONS): Promise<Receipt> {
    if (!this.#session.isTaking) return Promise.reject(this.#notTaking('send()'))
    return this.#sending.send(data, options)
  }

  /**
   * What comes in, for `for await`; it dials. Ends when the client is closed, not when a connection is lost. A consumer
   * that lags behind pauses the socket, for all consumers of this client.
   */
  messages(): AsyncIterableIterator<IncomingMessage> {
    this.#assertTaking('messages()')
    const stream = this.#runner.streams.open()
    this.#runner.handle({ type: 'want', isExplicit: true })
    return stream
  }

  /**
   * Waits until everything accepted so far is settled, or the time is over. Takes no message away and closes nothing.
   * Never rejects for a slow peer: a shutdown path wants counts.
   *
   * @param options.timeout Default: the client's `drainTimeout`.
   */
  async drain({ timeout }: { timeout?: Duration } = {}): Promise<DrainResult> {
    const ms =
      timeout === undefined ? this.#options.drainTimeout : parseDuration('timeout of drain()', timeout)
    const { outbox } = this.#session
    const { confirmed, rejected } = outbox
    const upTo = outbox.lastSequence
    if (outbox.oldest <= upTo) await this.#settledUpTo(upTo, ms)
    const isLeft = outbox.oldest <= upTo
    const left = isLeft ? outbox.all().filter(({ sequence }) => sequence <= upTo).length : 0
    return {
      confirmed: outbox.confirmed - confirmed,
      abandoned: left + (outbox.rejected - rejected),
    }
  }

  /**
   * Takes no more, sends and proves what is queued (`drainTimeout`), makes the close handshake (`closeTimeout`), destroys
   * the socket if the peer does not answer. An attempt that is under way may still succeed; without one, what is queued
   * is rejected, not dialled for. Final; every promise of this client has settled by then. A second call returns the
   * same promise.
   */
  close(): Promise<void> {
    return this.#closeWith(1000, this.#options.drainTimeout, this.#options.closeTimeout)
  }

  /** Destroys the socket and closes the client: the upstream sees no Close frame. */
  terminate(): Promise<void> {
    this.#runner.handle({ type: 'terminate' })
    return this.#closed
  }

  stats(): ClientStats {
    const { outbox, reconnects, epoch, delivery } = this.#session
    const { accepted, confirmed, rejected, pending, pendingBytes } = outbox
    return {
      accepted,
      confirmed,
      rejected,
      pending,
      pendingBytes,
      waitingForRoom: this.#sending.waitingForRoom,
      reconnects,
      epoch,
      rtt: delivery.rtt,
      receipts: delivery.bestReceipt,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  [inspect.custom](_depth: number, options: import('node:util').InspectOptions): string {
    const { name, state } = this
    return `GuardedClient ${inspect({ name, state, ...this.stats() }, options)}`
  }

  // --- What became of things ------------------------------------------------------------------------------------

  get #session(): SessionRunner<Outgoing>['session'] {
    return this.#runner.session
  }

  #report(report: SessionReport<Outgoing>): void {
    switch (report.type) {
      case 'moved':
        return this.#moved(report)
      case 'confirmed':
        return this.#sending.confirmed(report.entries, report.level, report.epoch)
      case 'rejected':
        return this.#sending.rejected(report.entries, report.code, report.why)
      case 'connected':
        if (this.state === 'open') this.#exclusivity?.opened()
        return this.#connects.resolveAll()
      case 'connectFailed':
        this.#exclusivity?.failed(report.why)
        if (this.#connects.size > 0) this.#connects.rejectAll(this.#error(report.code, report.why))
        return
      case 'lost': {
        const { code, reason, isByPeer, message } = report.end
        this.#exclusivity?.failed(message)
        return this.#announcer.tell('lost', { epoch: report.epoch, code, reason, isByPeer, message })
      }
      case 'waits': {
        const { delay, attempt, reason } = report
        return this.#announcer.tell('waiting', { delay, attempt, reason })
      }
      case 'refused':
        return this.#refused(report)
      case 'receiptsDegraded':
        return this.#degraded(report)
      case 'receiptsRestored':
        return this.#announcer.tell('receiptsRestored', { epoch: report.epoch })
      case 'acquired':
        return this.#announcer.tell('acquired', { fencingToken: this.#exclusivity?.fencingToken ?? null })
      case 'released':
        return this.#announcer.tell('released', { reason: report.why })
      case 'socketGone':
        for (const settle of this.#whenGone.splice(0)) settle()
    }
  }

  #moved({ from, to, reason }: Extract<SessionReport<Outgoing>, { type: 'moved' }>): void {
    this.#announcer.tell('stateChanged', { from, to, reason })
    if (to === 'open') this.#announcer.tell('opened', { epoch: this.#session.epoch })
    this.#announcer.later(() => resourceChanged(this.#resource))
    if (to === 'draining' || to === 'closing' || to === 'closed')
      this.#sending.refuseWaiting('FORKSAFE_ERR_CLIENT_CLOSED', 'the client was closed')
    if (to === 'closed') this.#ended()
  }

  #refused({ code, why, end }: Extract<SessionReport<Outgoing>, { type: 'refused' }>): void {
    this.#sending.refuseWaiting(code, why)
    if (code === 'FORKSAFE_ERR_CLIENT_SUPERSEDED' && end !== null)
      return this.#announcer.tell('superseded', { code: end.code, reason: end.reason })
    this.#announcer.tell('refused', { error: this.#error(code, why) })
  }

  #degraded({ epoch, reason }: Extract<SessionReport<Outgoing>, { type: 'receiptsDegraded' }>): void {
    this.#announcer.tell('receiptsDegraded', { epoch, reason })
    process.emitWarning(
      `client ${JSON.stringify(this.name)}: ${reason}, so its receipts say no more than that a message was written, and a connection that is half open is not noticed; see receipts in docs/client.md`,
      { type: 'ForksafeWarning', code: 'FORKSAFE_WARN_RECEIPTS_DEGRADED' },
    )
  }

  #received(message: IncomingMessage): void {
    const { data, isBinary, epoch } = message
    if (this.#sending.awaitsAcknowledgement)
      this.#announcer.later(() => this.#sending.incoming(data, { isBinary, epoch }))
    this.#runner.streams.push(message)
    if (this.#announcer.isHeard('message')) this.#announcer.tell('message', data, { isBinary, epoch })
    this.#announcer.announce()
  }

  #settled(): void {
    if (this.#sending.waitingForRoom > 0) this.#sending.roomMade()
    if (this.#drains.size > 0) {
      const { oldest } = this.#session.outbox
      for (const { upTo, done } of [...this.#drains]) if (oldest > upTo) done()
    }
    this.#announcer.announce()
  }

  #settledUpTo(upTo: number, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.clear()
        this.#drains.delete(drain)
        resolve()
      }
      const drain = { upTo, done }
      const timer = this.#environment.setTimer(ms, done, true)
      this.#drains.add(drain)
    })
  }

  #ended(): void {
    this.#runner.streams.end()
    this.#unregister()
    this.#announcer.tell('closed')
    this.#tellClosed()
  }

  // --- With others, if it is exclusive --------------------------------------------------------------------------

  #makeExclusivity(): Exclusivity | null {
    const provider = leaseProvider()
    if (!this.#options.exclusive || provider === undefined) return null
    return new Exclusivity(this.name, this.#options, provider, {
      handle: (event) => this.#runner.handle(event),
      take: (messages) => this.#sending.takeForeign(messages),
      forget: (entry) => this.#sending.forget(entry),
      now: () => this.#environment.now(),
      afterTurn: (callback) => this.#environment.afterTurn(callback),
      incoming: (message) => this.#received(message),
      standsBy: (owner) => {
        this.#announcer.tell('standingBy', { owner })
        this.#announcer.later(() => resourceChanged(this.#resource))
        this.#announcer.announce()
      },
    })
  }

  // --- For the process that owns it -----------------------------------------------------------------------------

  #asResource(): Resource {
    return {
      name: this.name,
      isWanted: () => this.#session.isWanted,
      isOpen: () => this.state === 'open',
      isStandingBy: () => this.#session.isStandingBy && this.#exclusivity?.owner !== null,
      report: () => this.#asReport(),
      suspend: async ({ timeout }) => {
        this.#runner.handle({ type: 'suspend', timeout })
        await this.#socketGone()
      },
      resume: () => this.#runner.handle({ type: 'resume' }),
      shutDown: ({ timeout }) => this.#shutDown(timeout),
      closeSync: () => this.#runner.closeSync(GOING_AWAY),
    }
  }

  #asReport(): ClientReport {
    const { outbox, epoch, reconnects, hasLease } = this.#session
    const { pending, confirmed } = outbox
    const counts = { pending, confirmed, reconnects }
    const who = { name: this.name, identity: this.#options.identity, state: this.state }
    if (this.#exclusivity === null) return { ...who, role: 'own', epoch, ...counts }
    const { fencingToken, owner } = this.#exclusivity
    const role = hasLease ? 'holder' : 'standby'
    return { ...who, role, epoch: fencingToken ?? owner?.epoch ?? 0, ...counts, owner }
  }

  #socketGone(): Promise<void> {
    return this.#session.hasSocket
      ? new Promise((resolve) => this.#whenGone.push(resolve))
      : Promise.resolve()
  }

  /** Half of the time for what is queued, the rest for the handshake; destroyed when it is over, whoever closes it. */
  async #shutDown(timeout: number): Promise<void> {
    const { drainTimeout, closeTimeout } = this.#options
    const overdue = this.#environment.setTimer(
      timeout,
      () => this.#runner.handle({ type: 'terminate' }),
      true,
    )
    const flush = Math.min(drainTimeout, timeout / 2)
    await this.#closeWith(GOING_AWAY, flush, Math.min(closeTimeout, timeout))
    overdue.clear()
  }

  #closeWith(code: number, drainTimeout: number, closeTimeout: number): Promise<void> {
    this.#runner.handle({ type: 'close', code, drainTimeout, closeTimeout })
    return this.#closed
  }

  // --- Errors ---------------------------------------------------------------------------------------------------

  #assertTaking(what: string): void {
    if (!this.#session.isTaking) throw this.#notTaking(what)
  }

  #notTaking(what: string): ForksafeError {
    const code: ErrorCode = 'FORKSAFE_ERR_CLIENT_CLOSED'
    return this.#error(code, `${what}: the client is ${this.state}`)
  }

  #aborted(signal: AbortSignal | undefined): ForksafeError {
    return this.#error('FORKSAFE_ERR_CLIENT_ABORTED', 'connect() was aborted', signal?.reason)
  }
}

/** RFC 6455 section 7.4.1: an endpoint is going away. */
const GOING_AWAY = 1001
