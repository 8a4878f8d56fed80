// The decisions of a guarded client: events in, effects out. No socket, no clock and no chance of its own.
// One attempt and its socket is attempt.ts; carrying effects out, and promises, are guarded-client.ts.
//
// Each attempt has an epoch. An event of an epoch that is not the live one is ignored, and the next attempt is not begun
// before the socket of the last one is gone: there is never more than one.

import { type BackoffRange, backoffDelay } from '../shared/backoff.js'
import type { Random } from '../shared/clock.js'
import type { ErrorCode } from '../shared/errors.js'
import { transition } from '../shared/state-machine.js'
import { CLIENT_LIFECYCLE, type ClientState } from './client-states.js'
import { Outbox, type OutboxLimits } from './outbox.js'

/** How an attempt or a connection ended. */
export interface ConnectionEnd {
  /** Why an attempt failed; null for a connection that had been open. */
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT' | 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED' | null
  /** Close code; 1006 where no Close frame was received. */
  code: number
  reason: string
  /** Whether another attempt makes no sense: the upstream refused for good. */
  isFatal: boolean
  /** What the upstream asked us to wait, in ms. */
  retryAfter: number | null
  /** In words, without credentials. */
  message: string
}

export type TimerName = 'retry' | 'stable' | 'flush' | 'close'

export type SessionEvent =
  /** Somebody wants it open. */
  | { type: 'want' }
  /** Nobody who asked for the connection is left. */
  | { type: 'unwant' }
  | { type: 'opened'; epoch: number }
  | { type: 'gone'; epoch: number; end: ConnectionEnd }
  /** A message for which the outbox has room. */
  | { type: 'send'; bytes: number }
  | { type: 'withdraw'; sequence: number; code: ErrorCode; why: string }
  | { type: 'written'; epoch: number; sequence: number }
  | { type: 'suspend'; timeout: number }
  | { type: 'resume' }
  | { type: 'close'; code: number; drainTimeout: number; closeTimeout: number }
  | { type: 'terminate' }
  | { type: 'timer'; name: TimerName }

export type SessionEffect =
  | { type: 'moved'; from: ClientState; to: ClientState; reason: string }
  | { type: 'dial'; epoch: number }
  | { type: 'write'; epoch: number; sequences: number[] }
  | { type: 'closeSocket'; epoch: number; code: number }
  | { type: 'terminateSocket'; epoch: number }
  | { type: 'setTimer'; name: TimerName; ms: number }
  | { type: 'clearTimer'; name: TimerName }
  | { type: 'confirmed'; sequence: number; epoch: number }
  | { type: 'rejected'; sequence: number; code: ErrorCode; why: string }
  /** Those who wait for the connection are answered. */
  | { type: 'connected'; epoch: number }
  | { type: 'connectFailed'; code: ErrorCode; why: string }
  /** A connection that had been open ended. */
  | { type: 'lost'; epoch: number; end: ConnectionEnd }
  | { type: 'waits'; delay: number; attempt: number; reason: string }
  /** No socket is left: who suspends or closes may go on. */
  | { type: 'socketGone' }

export interface SessionOptions {
  backoff: BackoffRange
  /** How long a connection must have been open before the failures before it are forgotten, in ms. */
  stableAfter: number
  maxPending: OutboxLimits
  random: Random
}

export class ClientSession {
  readonly outbox: Outbox
  readonly #options: SessionOptions
  #state: ClientState = 'idle'
  #effects: SessionEffect[] = []
  #epoch = 0
  /** The epoch whose socket is not gone yet. */
  #live: number | null = null
  /** The epoch that `connecting` is about; null while it waits for the socket of a cancelled one to be gone. */
  #attempt: number | null = null
  #isWanted = false
  /** Attempts that failed, and connections lost, since it was last stable. */
  #failures = 0
  #connects = 0
  #closing = { code: 1000, timeout: 0 }

  constructor(options: SessionOptions) {
    this.#options = options
    this.outbox = new Outbox(options.maxPending)
  }

  get state(): ClientState {
    return this.#state
  }

  /** Number of the last attempt. */
  get epoch(): number {
    return this.#epoch
  }

  /** How often it was open before the present, or last, time. */
  get reconnects(): number {
    return Math.max(0, this.#connects - 1)
  }

  /** Whether it is, or shall be, open: what a suspension gives back. */
  get isWanted(): boolean {
    return this.#isWanted
  }

  get hasSocket(): boolean {
    return this.#live !== null
  }

  /** Whether messages are still taken. */
  get isTaking(): boolean {
    return this.#state !== 'draining' && this.#state !== 'closing' && this.#state !== 'closed'
  }

  /** Decides. The effects are to be carried out in their order. */
  handle(event: SessionEvent): SessionEffect[] {
    this.#dispatch(event)
    return this.#effects.splice(0)
  }

  #dispatch(event: SessionEvent): void {
    switch (event.type) {
      case 'want':
        return this.#want()
      case 'unwant':
        return this.#unwant()
      case 'opened':
        return this.#opened(event.epoch)
      case 'gone':
        return this.#gone(event.epoch, event.end)
      case 'send':
        return this.#send(event.bytes)
      case 'withdraw':
        return this.#withdraw(event.sequence, event.code, event.why)
      case 'written':
        return this.#written(event.epoch, event.sequence)
      case 'suspend':
        return this.#suspend(event.timeout)
      case 'resume':
        return this.#resume()
      case 'close':
        return this.#close(event)
      case 'terminate':
        return this.#terminate()
      case 'timer':
        return this.#timer(event.name)
    }
  }

  // --- Connecting -----------------------------------------------------------------------------------------------

  #want(): void {
    if (!this.isTaking) return
    this.#isWanted = true
    if (this.#state === 'open') return this.#emit({ type: 'connected', epoch: this.#epoch })
    if (this.#state !== 'idle') return
    this.#moveTo('connecting', 'wanted')
    this.#dial()
  }

  /** One socket at a time: while the last one is not gone, the attempt waits for it. */
  #dial(): void {
    this.#attempt = this.#live === null ? ++this.#epoch : null
    if (this.#attempt === null) return
    this.#live = this.#attempt
    this.#emit({ type: 'dial', epoch: this.#attempt })
  }

  #unwant(): void {
    if (this.outbox.pending > 0 || (this.#state !== 'connecting' && this.#state !== 'waiting')) return
    this.#isWanted = false
    this.#emit({ type: 'clearTimer', name: 'retry' })
    this.#moveTo('idle', 'nobody waits for it any more')
    this.#terminateSocket()
  }

  #opened(epoch: number): void {
    if (epoch !== this.#live) return
    // Overtaken by a close, a suspension or an abort: the socket is not wanted any more.
    if (this.#state !== 'connecting' || epoch !== this.#attempt) return this.#terminateSocket()
    this.#connects++
    this.#moveTo('open', 'connected')
    this.#emit({ type: 'setTimer', name: 'stable', ms: this.#options.stableAfter })
    this.#emit({ type: 'connected', epoch })
    this.#write()
  }

  #gone(epoch: number, end: ConnectionEnd): void {
    if (epoch !== this.#live) return
    this.#live = null
    this.#emit({ type: 'clearTimer', name: 'stable' })
    const why = `the connection ended before its arrival was known: ${end.message}`
    for (const sequence of this.outbox.writtenTo(epoch)) {
      this.#reject(sequence, 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why)
    }
    if (end.error === null) this.#emit({ type: 'lost', epoch, end })
    this.#emit({ type: 'socketGone' })
    if (this.#state === 'connecting') return epoch === this.#attempt ? this.#failed(end) : this.#dial()
    if (this.#state === 'open') return end.isFatal ? this.#refused(end) : this.#retryLater(end)
    if (this.#state === 'draining' || this.#state === 'closing') return this.#closed(end.message)
  }

  #failed(end: ConnectionEnd): void {
    if (end.isFatal) return this.#refused(end)
    this.#emit({
      type: 'connectFailed',
      code: end.error ?? 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
      why: end.message,
    })
    this.#retryLater(end)
  }

  #retryLater(end: ConnectionEnd): void {
    const { backoff, random } = this.#options
    const attempt = ++this.#failures
    const asked = Math.min(end.retryAfter ?? 0, backoff.max)
    const delay = Math.max(backoffDelay(attempt - 1, backoff, random), asked)
    this.#moveTo('waiting', end.message)
    this.#emit({ type: 'setTimer', name: 'retry', ms: delay })
    this.#emit({ type: 'waits', delay, attempt, reason: end.message })
  }

  #refused(end: ConnectionEnd): void {
    this.#isWanted = false
    this.#moveTo('idle', end.message)
    this.#emit({ type: 'connectFailed', code: 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED', why: end.message })
    this.#rejectWaiting(`the upstream refused the connection: ${end.message}`)
  }

  // --- Sending --------------------------------------------------------------------------------------------------

  #send(bytes: number): void {
    this.outbox.accept(bytes)
    if (this.#state === 'open') this.#write()
    else this.#want()
  }

  #write(): void {
    if (this.#state !== 'open' || this.#live === null) return
    const sequences = this.outbox.takeWaiting(this.#live)
    if (sequences.length > 0) this.#emit({ type: 'write', epoch: this.#live, sequences })
  }

  #withdraw(sequence: number, code: ErrorCode, why: string): void {
    if (this.outbox.isWaiting(sequence)) this.#reject(sequence, code, why)
  }

  #written(epoch: number, sequence: number): void {
    if (epoch !== this.#live || !this.outbox.confirm(sequence)) return
    this.#emit({ type: 'confirmed', sequence, epoch })
    if (this.#state === 'draining' && this.outbox.pending === 0) this.#closeSocket('flushed')
  }

  #reject(sequence: number, code: ErrorCode, why: string): void {
    if (this.outbox.reject(sequence)) this.#emit({ type: 'rejected', sequence, code, why })
  }

  #rejectWaiting(why: string): void {
    for (const sequence of this.outbox.waiting()) this.#reject(sequence, 'FORKSAFE_ERR_CLIENT_NOT_SENT', why)
  }

  // --- Suspending and closing -----------------------------------------------------------------------------------

  #suspend(timeout: number): void {
    if (!this.isTaking || this.#state === 'suspended') return
    this.#emit({ type: 'clearTimer', name: 'retry' })
    this.#moveTo('suspended', 'a fork window is open')
    if (this.#live === null) return
    this.#emit({ type: 'closeSocket', epoch: this.#live, code: GOING_AWAY })
    this.#emit({ type: 'setTimer', name: 'close', ms: timeout })
  }

  #resume(): void {
    if (this.#state !== 'suspended') return
    this.#moveTo(this.#isWanted ? 'connecting' : 'idle', 'the fork window is over')
    if (this.#isWanted) this.#dial()
  }

  #close({ code, drainTimeout, closeTimeout }: Extract<SessionEvent, { type: 'close' }>): void {
    if (!this.isTaking) return
    const wasOpen = this.#state === 'open'
    this.#isWanted = false
    this.#closing = { code, timeout: closeTimeout }
    this.#emit({ type: 'clearTimer', name: 'retry' })
    if (wasOpen && this.outbox.pending > 0) {
      this.#moveTo('draining', 'close')
      return this.#emit({ type: 'setTimer', name: 'flush', ms: drainTimeout })
    }
    this.#rejectWaiting('the client was closed before a connection was open')
    if (this.#live === null) return this.#closed('close')
    this.#closeSocket('close')
  }

  #closeSocket(reason: string): void {
    this.#moveTo('closing', reason)
    if (this.#live === null) return this.#closed(reason)
    this.#emit({ type: 'closeSocket', epoch: this.#live, code: this.#closing.code })
    this.#emit({ type: 'setTimer', name: 'close', ms: this.#closing.timeout })
  }

  #terminate(): void {
    this.#close({ type: 'close', code: GOING_AWAY, drainTimeout: 0, closeTimeout: 0 })
    this.#terminateSocket()
  }

  #closed(reason: string): void {
    this.#moveTo('closed', reason)
    for (const name of TIMERS) this.#emit({ type: 'clearTimer', name })
    this.#rejectWaiting(`the client was closed: ${reason}`)
    this.#emit({ type: 'connectFailed', code: 'FORKSAFE_ERR_CLIENT_CLOSED', why: 'the client was closed' })
    this.#emit({ type: 'socketGone' })
  }

  #terminateSocket(): void {
    if (this.#live !== null) this.#emit({ type: 'terminateSocket', epoch: this.#live })
  }

  #timer(name: TimerName): void {
    switch (name) {
      case 'retry':
        if (this.#state !== 'waiting') return
        this.#moveTo('connecting', 'backoff is over')
        return this.#dial()
      case 'stable':
        this.#failures = 0
        return
      case 'flush':
        if (this.#state === 'draining') this.#closeSocket('not flushed in time')
        return
      case 'close':
        // Set for a socket that shall go; if it is gone, another one is none of its business.
        if (this.#state === 'closing' || this.#state === 'suspended' || this.#attempt === null)
          this.#terminateSocket()
    }
  }

  #moveTo(to: ClientState, reason: string): void {
    const from = this.#state
    this.#state = transition('client', CLIENT_LIFECYCLE, from, to, reason)
    this.#emit({ type: 'moved', from, to, reason })
  }

  #emit(effect: SessionEffect): void {
    this.#effects.push(effect)
  }
}

/** RFC 6455 section 7.4.1: an endpoint is going away. */
const GOING_AWAY = 1001
const TIMERS: readonly TimerName[] = ['retry', 'stable', 'flush', 'close']
