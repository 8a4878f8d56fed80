// The decisions of a guarded client: events in, effects out. No socket, no clock and no chance of its own.
// It knows whether there is a connection; what goes over it is delivery.ts, with what is pending (outbox.ts), proved
// (ping-barrier.ts) and alive (liveness.ts). Carrying effects out is session-runner.ts.
//
// An exclusive client dials only while it holds the lease. Until then it stands by, `waiting`, and hands its messages to
// the holder where that one is in the same tree (forwarding.ts).
//
// Each attempt has an epoch. An event of an epoch that is not the live one is ignored, and the next attempt is not begun
// before the socket of the last one is gone: there is never more than one.

import { type BackoffRange, backoffDelay } from '../shared/backoff.js'
import type { Random } from '../shared/clock.js'
import type { ErrorCode } from '../shared/errors.js'
import { transition } from '../shared/state-machine.js'
import { CLIENT_LIFECYCLE, type ClientState } from './client-states.js'
import type { ConnectionEnd } from './connection-end.js'
import { Delivery, type DeliveryChance, type DeliveryOptions } from './delivery.js'
import { Forwarding } from './forwarding.js'
import { LeaseStance } from './lease-stance.js'
import type { Outbox } from './outbox.js'
import type { SessionEffect, SessionEvent, TimerName } from './session-effects.js'

export interface SessionOptions extends DeliveryOptions {
  backoff: BackoffRange
  /** How long a connection must have been open before the failures before it are forgotten, in ms. */
  stableAfter: number
  /** For a connection that somebody has begun to end, in ms. */
  closeTimeout: number
  /** Close codes that say: another session took your place. */
  supersededCodes: readonly number[]
  /** It dials only while it holds the lease. */
  exclusive: boolean
}

export interface SessionChance extends DeliveryChance {
  random: Random
}

/** Why the upstream wants no connection. */
export interface Refusal {
  code: ErrorCode
  why: string
}

export class ClientSession<Cargo> {
  readonly delivery: Delivery<Cargo>
  readonly forwarding: Forwarding<Cargo>
  readonly #options: SessionOptions
  readonly #chance: SessionChance
  #state: ClientState = 'idle'
  #effects: SessionEffect<Cargo>[] = []
  #epoch = 0
  /** The epoch whose socket is not gone yet. */
  #live: number | null = null
  /** The epoch that `connecting` is about; null while it waits for the socket of a cancelled one to be gone. */
  #attempt: number | null = null
  #isWanted = false
  /** Attempts that failed, and connections lost, since it was last stable. */
  #failures = 0
  #connects = 0
  /** No attempt before this time, whoever asks. */
  #notBefore = Number.NEGATIVE_INFINITY
  #refusal: Refusal | null = null
  #closing = { code: 1000, timeout: 0 }
  /** When the socket is destroyed at the latest: what comes later may bring that forward, never put it off. */
  #goneBy = Number.POSITIVE_INFINITY
  /** Suspended, and the socket still waits for proof of what was written. */
  #isClosePending = false
  /** Whether what was suspended was open: then it comes back, whoever does not wait for it any more. */
  #hadOpened = false
  readonly #lease = new LeaseStance()
  /** Nobody will grant the lease any more, and nobody takes messages. */
  #isOrphaned = false
  /** Others of this tree are leaving too, and may still have something to send over our connection. */
  #isAwaited = false
  /** A fork window is open: whatever becomes of the lease, nothing is dialled. */
  #isInForkWindow = false

  constructor(options: SessionOptions, chance: SessionChance) {
    this.#options = options
    this.#chance = chance
    this.delivery = new Delivery(options, chance, {
      emit: (effect) => this.#emit(effect),
      settled: () => this.#settled(),
      unfit: (why) => this.#unfit(why),
    })
    this.forwarding = new Forwarding(this.delivery.outbox, options.onUnconfirmed, {
      emit: (effect) => this.#emit(effect),
      now: () => chance.now(),
      reject: (entries, code, why) => this.delivery.reject(entries, code, why),
      settled: () => this.#settled(),
    })
  }

  get outbox(): Outbox<Cargo> {
    return this.delivery.outbox
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

  /** Whether it may dial. */
  get hasLease(): boolean {
    return this.#lease.isHeld || !this.#options.exclusive
  }

  /** Whether it waits for the lease that somebody else holds. */
  get isStandingBy(): boolean {
    return this.#lease.isClaimed && !this.#lease.isHeld
  }

  get hasSocket(): boolean {
    return this.#live !== null
  }

  /** Whether messages are still taken. */
  get isTaking(): boolean {
    return this.#state !== 'draining' && this.#state !== 'closing' && this.#state !== 'closed'
  }

  /** Why the upstream wants no connection, until somebody asks for one all the same. */
  get refusal(): Refusal | null {
    return this.#refusal
  }

  /** Whether something has to come in that we wait for: then we read, however slow our consumer is. */
  get isReadingOwed(): boolean {
    // A Close frame is waited for in every other state in which there is a connection.
    return this.delivery.isProofAwaited || this.#state !== 'open'
  }

  /** Decides. The effects are to be carried out in their order. */
  handle(event: SessionEvent<Cargo>): SessionEffect<Cargo>[] {
    this.#dispatch(event)
    if (this.#effects.length === 0) return NOTHING
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  #dispatch(event: SessionEvent<Cargo>): void {
    switch (event.type) {
      case 'accepted':
        // While it drains, of standbys that leave with us.
        if (this.#state === 'open' || this.#state === 'draining') return this.delivery.writeSoon()
        return this.forwarding.isOpen ? this.forwarding.writeSoon() : this.#want(false)
      case 'writeTurn':
        this.forwarding.writeTurn()
        return this.delivery.writeTurn()
      case 'flushed':
        return this.delivery.flushed(event.epoch, event.sequence)
      case 'pong':
        return this.delivery.ponged(event.epoch, event.payload)
      case 'heard':
        return this.delivery.heard(event.epoch, event.at)
      case 'acknowledged':
        return this.delivery.acknowledged(event.entry)
      case 'withdraw':
        return this.delivery.reject([event.entry], event.code, event.why)
      case 'paused':
        return this.delivery.paused()
      case 'resumed':
        return this.delivery.resumed()
      case 'turnOver':
        return this.delivery.turnOver(event.epoch)
      case 'want':
        return this.#want(event.isExplicit)
      case 'unwant':
        return this.#unwant()
      case 'opened':
        return this.#opened(event.epoch)
      case 'gone':
        return this.#gone(event.epoch, event.end)
      case 'ending':
        return this.#ending(event.epoch)
      case 'granted':
        return this.#granted()
      case 'revoked':
        return this.#revoked(event.why, event.timeout)
      case 'leaseLost':
        return this.#leaseLost(event.why)
      case 'orphaned':
        return this.#orphaned()
      case 'mayLeave':
        this.#isAwaited = false
        return this.#settled()
      case 'linkOpened':
        return this.#linkOpened(event.link)
      case 'linkClosed':
        return this.forwarding.closed(event.link, 'the worker that holds the connection is gone')
      case 'linkAnswered':
        return this.forwarding.answered(event.link, event.answer)
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

  #want(isExplicit: boolean): void {
    if (!this.isTaking || (this.#refusal !== null && !isExplicit)) return
    this.#refusal = null
    this.#isWanted = true
    if (this.#state === 'open' || this.forwarding.isOpen)
      return this.#emit({ type: 'connected', epoch: this.#epoch })
    if (this.#state === 'idle') this.#begin('wanted')
    if (isExplicit && this.isStandingBy) this.#emit({ type: 'insist' })
  }

  /** An attempt now, or as soon as the pause after the last failure is over: whoever asks, however often. */
  #begin(reason: string): void {
    if (!this.hasLease) return this.#standBy(reason)
    const pause = this.#notBefore - this.#chance.now()
    if (pause > 0) {
      this.#wait(reason)
      this.#emit({ type: 'setTimer', name: 'retry', ms: pause })
      return
    }
    this.#moveTo('connecting', reason)
    this.#dial()
  }

  #wait(reason: string): void {
    if (this.#state !== 'waiting') this.#moveTo('waiting', reason)
  }

  /** One socket at a time: while the last one is not gone, the attempt waits for it. */
  #dial(): void {
    this.#attempt = this.#live === null ? ++this.#epoch : null
    if (this.#attempt === null) return
    this.#live = this.#attempt
    this.#emit({ type: 'dial', epoch: this.#attempt })
  }

  #unwant(): void {
    if (this.outbox.pending > 0) return
    if (this.#state === 'suspended') this.#isWanted &&= this.#hadOpened
    if (this.#state !== 'connecting' && this.#state !== 'waiting') return
    this.#isWanted = false
    this.#emit({ type: 'clearTimer', name: 'retry' })
    this.#moveTo('idle', 'nobody waits for it any more')
    this.#terminateSocket()
    this.#giveUpLease()
  }

  #opened(epoch: number): void {
    if (epoch !== this.#live) return
    const isAwaited = this.#state === 'connecting' || this.#state === 'draining'
    // Overtaken by a close, a suspension or an abort: the socket is not wanted any more.
    if (!isAwaited || epoch !== this.#attempt) return this.#terminateSocket()
    this.#connects++
    if (this.#state === 'connecting') this.#moveTo('open', 'connected')
    this.#emit({ type: 'setTimer', name: 'stable', ms: this.#options.stableAfter })
    this.#emit({ type: 'connected', epoch })
    this.delivery.opened(epoch)
  }

  #gone(epoch: number, end: ConnectionEnd): void {
    if (epoch !== this.#live) return
    this.#live = null
    this.#isClosePending = false
    this.#isAwaited = false
    this.#goneBy = Number.POSITIVE_INFINITY
    for (const name of SOCKET_TIMERS) this.#emit({ type: 'clearTimer', name })
    // Draining may go on without a socket: then its end is all the more needed.
    if (this.#state !== 'draining') this.#emit({ type: 'clearTimer', name: 'drain' })
    if (end.error === null) this.#emit({ type: 'lost', epoch, end })
    this.delivery.gone(epoch, end.message)
    this.#emit({ type: 'socketGone' })
    if (this.#lease.isLeaving) this.#handOver(end.message)
    if (this.#lease.isRegained) return this.#comeBack(end)
    if (this.#state === 'connecting') return epoch === this.#attempt ? this.#failed(end) : this.#dial()
    if (this.#state === 'open') return this.#ended(end)
    if (this.#state === 'draining' && this.#canBeHelped && this.outbox.pending > 0)
      return this.#emit({ type: 'need' })
    if (this.#state === 'draining' || this.#state === 'closing') return this.#closed(end.message)
  }

  /** What is sent from now on waits for the next connection; what was written can still be proved. */
  #ending(epoch: number): void {
    if (epoch !== this.#live || this.#state !== 'open' || this.delivery.isHeld) return
    this.delivery.hold()
    this.#emit({ type: 'setTimer', name: 'close', ms: this.#options.closeTimeout })
  }

  #failed(end: ConnectionEnd): void {
    if (end.isFatal || this.#isSuperseded(end)) return this.#ended(end)
    const code = end.error ?? 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED'
    this.#emit({ type: 'connectFailed', code, why: end.message })
    this.#retryLater(end)
  }

  #ended(end: ConnectionEnd): void {
    if (this.#isSuperseded(end)) this.#refused('FORKSAFE_ERR_CLIENT_SUPERSEDED', end.message, end)
    else if (end.isFatal) this.#refused('FORKSAFE_ERR_CLIENT_CONNECT_REFUSED', end.message, end)
    else this.#retryLater(end)
  }

  #isSuperseded({ code }: ConnectionEnd): boolean {
    return this.#options.supersededCodes.includes(code)
  }

  #retryLater(end: ConnectionEnd): void {
    const delay = this.#backOff(end.retryAfter)
    this.#moveTo('waiting', end.message)
    this.#emit({ type: 'setTimer', name: 'retry', ms: delay })
    this.#emit({ type: 'waits', delay, attempt: this.#failures, reason: end.message })
  }

  /** Counts a failure and returns the pause after it, in ms. */
  #backOff(retryAfter: number | null): number {
    const { backoff } = this.#options
    const delay = Math.max(
      backoffDelay(this.#failures++, backoff, this.#chance.random),
      Math.min(retryAfter ?? 0, backoff.max),
    )
    this.#notBefore = this.#chance.now() + delay
    return delay
  }

  /** It stays away until somebody asks for it by name: what is sent meanwhile is refused, and dials nothing. */
  #refused(code: ErrorCode, why: string, end: ConnectionEnd | null): void {
    this.#isWanted = false
    this.#refusal = { code, why }
    this.#backOff(end?.retryAfter ?? null)
    this.#moveTo('idle', why)
    this.#emit({ type: 'connectFailed', code, why })
    this.#emit({ type: 'refused', code, why, end })
    this.delivery.rejectAll(`the upstream refused the connection: ${why}`)
    this.#giveUpLease(code === 'FORKSAFE_ERR_CLIENT_SUPERSEDED')
  }

  #unfit(why: string): void {
    const isOpen = this.#state === 'open'
    this.delivery.abandon()
    if (isOpen)
      this.#refused('FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE', `${why}, and receipts are required`, null)
    this.#terminateSocket(why)
  }

  // --- The lease ------------------------------------------------------------------------------------------------

  #standBy(reason: string): void {
    this.#wait(reason)
    if (this.#lease.claim()) this.#emit({ type: 'claim' })
  }

  #granted(): void {
    if (!this.#lease.grant()) return
    this.#emit({ type: 'acquired' })
    if (this.#lease.isRegained) return // it comes back when the socket of the time before is gone
    if (this.#state === 'waiting') return this.#begin('it holds the lease')
    if (this.#state === 'draining' && this.#live === null) this.#dial()
  }

  /** It was lost, and is ours again, before the socket was gone: no failure of the upstream's. */
  #comeBack(end: ConnectionEnd): void {
    this.#lease.keep()
    if (this.#state === 'draining' || this.#state === 'closing') return this.#closed(end.message)
    if (!this.isTaking || this.#isInForkWindow || this.#state === 'idle') return
    this.#wait(end.message)
    this.#begin('it holds the lease again')
  }

  /** The next one is not granted before our socket is gone. */
  #revoked(why: string, timeout: number): void {
    if (!this.#lease.isHeld) return
    this.#lease.leave()
    if (this.#live === null) return this.#handOver(why)
    this.#closeForOthers(timeout, why)
  }

  #leaseLost(why: string): void {
    if (!this.#lease.isHeld) return
    this.#lease.leave()
    if (this.#live === null) return this.#handOver(why)
    this.#closeLinks()
    this.delivery.abandon()
    // Its opening may be what made us look whether we still hold the lease.
    this.#attempt = null
    this.#terminateSocket(why)
  }

  /** It is not wanted any more, or the upstream does not want us. */
  #giveUpLease(isSuperseded = false): void {
    if (!this.#lease.isHeld) {
      if (!this.#lease.isClaimed) return
      this.#lease.withdraw()
      return this.#emit({ type: 'letGo', isFinal: true, isSuperseded })
    }
    this.#lease.leave({ isFinal: true, isSuperseded })
    if (this.#live === null) this.#handOver('it is not wanted any more')
    else this.#closeLinks()
  }

  /** The socket is gone; whoever still wants the connection stands by. */
  #handOver(why: string): void {
    this.#closeLinks()
    this.#isWanted ||= this.outbox.pending > 0
    const isUnwanted = this.#state === 'suspended' && !this.#isInForkWindow && !this.#isWanted
    this.#emit({ type: 'letGo', ...this.#lease.letGo(isUnwanted) })
    this.#emit({ type: 'released', why })
    if (!this.isTaking || this.#isInForkWindow || this.#state === 'idle') return
    this.#emit({ type: 'clearTimer', name: 'retry' })
    if (isUnwanted) this.#moveTo('idle', why)
    // Also where it was given up for good: somebody has asked for it again since then.
    else this.#standBy(why)
  }

  #closeLinks(): void {
    this.#emit({ type: 'closeLinks' })
    this.delivery.giveBack()
  }

  #linkOpened(link: number): void {
    if (this.#lease.isHeld) return
    this.forwarding.opened(link)
    this.#emit({ type: 'connected', epoch: this.#epoch })
  }

  #orphaned(): void {
    this.#isOrphaned = true
    this.#isAwaited = false
    if (this.#state === 'draining' && this.#live === null) return this.#closeSocket('the primary is gone')
    this.#settled()
  }

  // --- Suspending and closing -----------------------------------------------------------------------------------

  #suspend(timeout: number): void {
    this.#isInForkWindow = true
    this.#closeForOthers(timeout, 'a fork window is open')
  }

  /** It closes, and may come back: after a fork window, or when it holds the lease again. */
  #closeForOthers(timeout: number, why: string): void {
    if (this.#live !== null) this.#endWithin(timeout)
    if (!this.isTaking || this.#state === 'suspended') return
    this.#hadOpened = this.#state === 'open'
    this.#emit({ type: 'clearTimer', name: 'retry' })
    this.#moveTo('suspended', why)
    if (this.#live === null) return
    this.#isClosePending = true
    this.#emit({ type: 'setTimer', name: 'drain', ms: timeout / 2 })
    this.delivery.hold()
    this.#settled()
  }

  /** What was written gets half of the time to be proved: after our Close frame the peer owes no pong. */
  #closeSuspended(): void {
    if (!this.#isClosePending || this.#live === null) return
    this.#isClosePending = false
    if (this.#lease.isLeaving) this.#closeLinks()
    this.#emit({ type: 'closeSocket', epoch: this.#live, code: GOING_AWAY })
  }

  #resume(): void {
    this.#isInForkWindow = false
    if (this.#state !== 'suspended') return
    if (this.#isWanted) this.#begin('the fork window is over')
    else {
      this.#moveTo('idle', 'the fork window is over')
      this.#giveUpLease()
    }
  }

  #close({ code, drainTimeout, closeTimeout }: Extract<SessionEvent<Cargo>, { type: 'close' }>): void {
    if (!this.isTaking) return
    const isConnecting = this.#state === 'connecting' && this.#attempt !== null
    const hasWay = this.#state === 'open' || isConnecting || this.#canBeHelped
    const isShared = this.#isShared && drainTimeout > 0
    const canDrain = (hasWay && this.outbox.pending > 0) || isShared
    this.#isWanted = false
    this.#closing = { code, timeout: closeTimeout }
    this.#emit({ type: 'clearTimer', name: 'retry' })
    if (canDrain) {
      this.#moveTo('draining', 'close')
      this.#emit({ type: 'setTimer', name: 'drain', ms: drainTimeout })
      if (this.isStandingBy) this.#emit({ type: 'need' })
      this.#isAwaited = isShared
      if (isShared) this.#emit({ type: 'askToLeave' })
      this.forwarding.writeTurn()
      this.delivery.writeTurn()
      return
    }
    this.delivery.rejectAll('the client was closed before a connection was open')
    if (this.#live === null) return this.#closed('close')
    this.#closeSocket('close')
  }

  /** Whether another process holds the lease, or soon will, and may take what is queued. */
  get #canBeHelped(): boolean {
    const isOnItsWay = this.#live !== null && this.#lease.isLeavingForOthers
    return this.isStandingBy || isOnItsWay ? !this.#isOrphaned : false
  }

  /** Whether standbys send over our connection: who leaves together with them leaves last. */
  get #isShared(): boolean {
    const isOurs = this.#lease.isHeld && !this.#lease.isLeaving
    return isOurs && this.#state === 'open' && !this.#isOrphaned
  }

  /** To be asked whenever something was settled: whether that was all that somebody waited for. */
  #settled(): void {
    const isDrained = this.#state === 'draining' && this.outbox.pending === 0
    if (isDrained && !this.#isAwaited) this.#closeSocket('drained')
    if (this.#isClosePending && !this.outbox.hasUnconfirmed) this.#closeSuspended()
  }

  #closeSocket(reason: string): void {
    this.#moveTo('closing', reason)
    if (this.#lease.isHeld) this.#closeLinks()
    if (this.#live === null) return this.#closed(reason)
    this.delivery.hold()
    this.#emit({ type: 'closeSocket', epoch: this.#live, code: this.#closing.code })
    this.#endWithin(this.#closing.timeout)
  }

  #endWithin(ms: number): void {
    const now = this.#chance.now()
    this.#goneBy = Math.min(this.#goneBy, now + ms)
    this.#emit({ type: 'setTimer', name: 'close', ms: Math.max(0, this.#goneBy - now) })
  }

  /** First of all: nothing more is written, no message and no Close frame. */
  #terminate(): void {
    this.#terminateSocket()
    this.delivery.abandon()
    if (this.#state !== 'draining')
      return this.#close({ type: 'close', code: GOING_AWAY, drainTimeout: 0, closeTimeout: 0 })
    // Not even by another process is anything delivered from here on.
    this.#moveTo('closing', 'terminated')
    if (this.#lease.isHeld) this.#closeLinks()
    if (this.#live === null) this.#closed('terminated')
  }

  #closed(reason: string): void {
    this.#moveTo('closed', reason)
    for (const name of TIMERS) this.#emit({ type: 'clearTimer', name })
    this.delivery.rejectAll(`the client was closed: ${reason}`)
    this.#emit({ type: 'connectFailed', code: 'FORKSAFE_ERR_CLIENT_CLOSED', why: 'the client was closed' })
    this.#emit({ type: 'socketGone' })
    this.#giveUpLease()
  }

  #terminateSocket(why: string | null = null): void {
    if (this.#live !== null) this.#emit({ type: 'terminateSocket', epoch: this.#live, why })
  }

  #timer(name: TimerName): void {
    switch (name) {
      case 'retry':
        if (this.#state !== 'waiting' || !this.hasLease) return
        this.#moveTo('connecting', 'backoff is over')
        return this.#dial()
      case 'stable':
        this.#failures = 0
        return
      case 'watch':
        return this.delivery.watchRang()
      case 'drain':
        if (this.#state === 'draining') this.#closeSocket('not drained in time')
        return this.#closeSuspended()
      case 'close':
        return this.#terminateSocket()
    }
  }

  #moveTo(to: ClientState, reason: string): void {
    const from = this.#state
    this.#state = transition('client', CLIENT_LIFECYCLE, from, to, reason)
    this.#emit({ type: 'moved', from, to, reason })
  }

  #emit(effect: SessionEffect<Cargo>): void {
    this.#effects.push(effect)
  }
}

/** RFC 6455 section 7.4.1: an endpoint is going away. */
const GOING_AWAY = 1001
const TIMERS: readonly TimerName[] = ['retry', 'stable', 'drain', 'close', 'watch']
/** They are about one socket, and end with it. */
const SOCKET_TIMERS: readonly TimerName[] = ['stable', 'close', 'watch']
const NOTHING: never[] = []
