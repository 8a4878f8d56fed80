// Carries out what the session decides, on sockets and timers, and brings it what happens there. It decides one thing
// itself: whether the socket is read, from how far consumers lag behind and whether an answer is waited for.

import { outsideRequests } from '../shared/request-context.js'
import type { ParsedClientOptions } from './client-options.js'
import { ClientSession } from './client-session.js'
import type { Connection, ConnectionEvents, Sendable } from './connection.js'
import type { Environment, Timer } from './environment.js'
import { type IncomingMessage, MessageStreams } from './message-stream.js'
import type {
  LeaseAct,
  SessionAct,
  SessionEffect,
  SessionEvent,
  SessionReport,
  TimerName,
} from './session-effects.js'

export interface SessionListener<Cargo> {
  report(report: SessionReport<Cargo>): void
  dialling(epoch: number): void
  message(message: IncomingMessage): void
  /** What is to be done about the lease of an exclusive client. */
  lease(act: LeaseAct<Cargo>): void
  /** A decision has been carried out whole. */
  settled(): void
}

/** Events that messages may be written on. */
const WRITING: ReadonlySet<string> = new Set<SessionEvent<never>['type']>(['writeTurn', 'flushed', 'pong'])
/** Events that end a lease: before these nobody has to ask whether it is still ours. */
const LEASE: ReadonlySet<string> = new Set<SessionEvent<never>['type']>(['granted', 'revoked', 'leaseLost'])

/** The lease of an exclusive client, as far as it has to be looked at before something is written. */
export interface LeaseCheck {
  readonly fencingToken: number | null
  check(): void
}

export class SessionRunner<Cargo extends { data: Sendable }> {
  readonly session: ClientSession<Cargo>
  readonly streams = new MessageStreams(() => this.#balance())
  readonly #name: string
  readonly #options: ParsedClientOptions
  readonly #environment: Environment
  readonly #listener: SessionListener<Cargo>
  readonly #exclusivity: LeaseCheck | null
  readonly #timers = new Map<TimerName, Timer>()
  /** Events that came while an earlier one was being carried out. */
  readonly #queue: SessionEvent<Cargo>[] = []
  #isCarryingOut = false
  #connection: Connection | null = null
  #isPaused = false

  constructor(
    name: string,
    options: ParsedClientOptions,
    environment: Environment,
    listener: SessionListener<Cargo>,
    exclusivity: LeaseCheck | null,
  ) {
    this.#name = name
    this.#options = options
    this.#environment = environment
    this.#listener = listener
    this.#exclusivity = exclusivity
    this.session = new ClientSession(options, environment)
  }

  handle(event: SessionEvent<Cargo>): void {
    if (this.#isCarryingOut) {
      this.#queue.push(event)
      return
    }
    // A process that was stopped wakes up anywhere: what it holds may be somebody else's by now.
    if (!LEASE.has(event.type)) this.#exclusivity?.check()
    this.#isCarryingOut = true
    for (let next: SessionEvent<Cargo> | undefined = event; next !== undefined; next = this.#queue.shift()) {
      if (WRITING.has(next.type)) this.#lookBeforeWriting()
      for (const effect of this.session.handle(next)) this.#carryOut(effect)
    }
    this.#isCarryingOut = false
    this.#connection?.flush()
    this.#balance()
    this.#listener.settled()
  }

  /** In the last moment of the process: what waits for the end of the turn, and a Close frame. */
  closeSync(code: number): void {
    this.handle({ type: 'writeTurn' })
    this.#connection?.closeSync(code)
  }

  /** `ws` tells nobody that the peer's Close frame has come, and takes messages that it will never write. */
  #lookBeforeWriting(): void {
    if (this.#connection === null || this.#connection.isWritable || this.session.state !== 'open') return
    for (const effect of this.session.handle({ type: 'ending', epoch: this.session.epoch }))
      this.#carryOut(effect)
  }

  #carryOut(effect: SessionEffect<Cargo>): void {
    switch (effect.type) {
      case 'dial':
        return this.#dial(effect.epoch)
      case 'write':
        return this.#write(effect)
      case 'ping':
        return this.#connection?.ping(effect.payload)
      case 'pong':
        return this.#connection?.pong()
      case 'closeSocket':
        return this.#connection?.close(effect.code)
      case 'terminateSocket':
        return this.#connection?.terminate(effect.why)
      case 'setTimer':
        return this.#setTimer(effect.name, effect.ms)
      case 'clearTimer':
        return this.#clearTimer(effect.name)
      case 'writeSoon':
        return this.#environment.afterTurn(() => this.handle({ type: 'writeTurn' }))
      case 'awaitTurn':
        return this.#environment.afterReading(() => this.#readingIsOver(effect.epoch))
      case 'claim':
      case 'letGo':
      case 'need':
      case 'insist':
      case 'askToLeave':
      case 'closeLinks':
      case 'forward':
        return this.#listener.lease(effect)
      default:
        return this.#listener.report(effect)
    }
  }

  #dial(epoch: number): void {
    this.#isPaused = false
    const events: ConnectionEvents = {
      opened: () => this.handle({ type: 'opened', epoch }),
      message: (data, isBinary) => this.#listener.message({ data, isBinary, epoch }),
      pong: (payload) => this.handle({ type: 'pong', epoch, payload }),
      gone: (end) => {
        if (this.#connection === connection) this.#connection = null
        this.handle({ type: 'gone', epoch, end })
      },
    }
    const info = { fencingToken: this.#exclusivity?.fencingToken ?? null }
    const connection = this.#environment.connect(epoch, this.#name, this.#options, events, info)
    this.#connection = connection
    this.#listener.dialling(epoch)
    // Whatever a dial starts must not inherit the async context of who happened to ask.
    outsideRequests(null, () => connection.dial())
  }

  #write({ epoch, entries }: Extract<SessionAct<Cargo>, { type: 'write' }>): void {
    const last = entries.length - 1
    entries.forEach(({ cargo, sequence }, index) => {
      const onFlushed = index === last ? () => this.handle({ type: 'flushed', epoch, sequence }) : null
      this.#connection?.send(cargo.data, onFlushed)
    })
  }

  #readingIsOver(epoch: number): void {
    this.#tellWhatWasHeard()
    this.handle({ type: 'turnOver', epoch })
  }

  #tellWhatWasHeard(): void {
    if (this.#connection === null) return
    this.handle({ type: 'heard', epoch: this.session.epoch, at: this.#connection.heardAt })
  }

  #setTimer(name: TimerName, ms: number): void {
    this.#clearTimer(name)
    const ring = (): void => {
      this.#timers.delete(name)
      if (name === 'watch') this.#tellWhatWasHeard()
      this.handle({ type: 'timer', name })
    }
    // These two only look after a connection, which is the reason to stay alive itself.
    const isReason = name !== 'stable' && name !== 'watch'
    this.#timers.set(name, this.#environment.setTimer(ms, ring, isReason))
  }

  #clearTimer(name: TimerName): void {
    this.#timers.get(name)?.clear()
    this.#timers.delete(name)
  }

  /**
   * A consumer that lags behind holds the upstream back. While an answer is waited for we read on, as far as what comes
   * before it can be kept: a consumer that waits for a receipt would wait for itself.
   */
  #balance(): void {
    if (!this.session.delivery.isConnected && !this.#isPaused) return
    const isPaused = this.streams.isPressed && (this.streams.isFull || !this.session.isReadingOwed)
    if (isPaused === this.#isPaused || this.#isCarryingOut) return
    this.#isPaused = isPaused
    if (isPaused) this.#connection?.pause()
    else this.#connection?.resume()
    this.handle({ type: isPaused ? 'paused' : 'resumed' })
  }
}
