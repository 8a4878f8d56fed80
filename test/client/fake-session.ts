// The client's decisions with a clock that is turned by hand, and sockets that are numbers: what unit tests of the pure
// core write down, and read what came of it. What nobody thought of is test/client/simulation/.

import { ClientSession, type SessionOptions } from '../../src/client/client-session.js'
import type { ConnectionEnd } from '../../src/client/connection-end.js'
import type { Entry, NewEntry } from '../../src/client/outbox.js'
import type { SessionEffect, SessionEvent, TimerName } from '../../src/client/session-effects.js'

type Effect = SessionEffect<string>

export const LOST: ConnectionEnd = {
  ...{
    error: null,
    code: 1006,
    reason: '',
    isByPeer: true,
    isFatal: false,
    retryAfter: null,
    message: 'lost',
  },
}
export const FAILED: ConnectionEnd = {
  ...LOST,
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
  message: 'failed',
}

export class FakeSession {
  now = 0
  readonly session: ClientSession<string>
  /** Everything that was decided. */
  readonly effects: Effect[] = []
  readonly timers = new Map<TimerName, number>()
  #nonces = 0

  constructor(options: Partial<SessionOptions> = {}) {
    this.session = new ClientSession(
      {
        ...{
          backoff: { min: 250, max: 30_000 },
          stableAfter: 5_000,
          closeTimeout: 5_000,
          supersededCodes: [],
          exclusive: false,
        },
        ...{ maxPending: { count: 100, bytes: 10_000_000 }, receipts: 'auto', onUnconfirmed: 'reject' },
        ...{ heartbeatInterval: 20_000, heartbeatTimeout: 10_000, receiptTimeout: 30_000 },
        ...options,
      },
      { now: () => this.now, random: () => 0.5, nonce: () => `nonce${++this.#nonces}` },
    )
  }

  do(event: SessionEvent<string>): Effect[] {
    const effects = this.session.handle(event)
    this.effects.push(...effects)
    for (const effect of effects) {
      if (effect.type === 'setTimer') this.timers.set(effect.name, this.now + effect.ms)
      if (effect.type === 'clearTimer') this.timers.delete(effect.name)
    }
    return effects
  }

  send(cargo: string, more: Partial<NewEntry<string>> = {}): Entry<string> {
    const entry = this.session.outbox.accept({
      ...{ bytes: 10, level: 'received', isLevelFixed: false, expiresAt: null, cargo },
      ...more,
    })
    this.do({ type: 'accepted' })
    if (this.session.state === 'open') this.do({ type: 'writeTurn' })
    return entry
  }

  /** Dials if nothing does, and is open. */
  open(): void {
    this.do({ type: 'want', isExplicit: true })
    this.do({ type: 'opened', epoch: this.session.epoch })
    if (this.effects.some(({ type }) => type === 'awaitTurn')) this.read()
  }

  /** What has come in has been read. */
  read(): void {
    this.do({ type: 'turnOver', epoch: this.session.epoch })
  }

  /** The peer answers the last ping. */
  pong(): void {
    this.do({ type: 'pong', epoch: this.session.epoch, payload: this.of('ping').at(-1)?.payload ?? '' })
  }

  lose(end: ConnectionEnd = LOST): void {
    this.do({ type: 'gone', epoch: this.session.epoch, end })
  }

  /** Time passes until that timer rings. */
  ring(name: TimerName): void {
    const at = this.timers.get(name)
    if (at === undefined) throw new Error(`the timer ${name} is not set`)
    this.now = Math.max(this.now, at)
    this.timers.delete(name)
    this.do({ type: 'timer', name })
  }

  /** The watch rings whenever it is due until then. */
  passUntil(time: number): void {
    while ((this.timers.get('watch') ?? Number.POSITIVE_INFINITY) <= time) this.ring('watch')
    this.now = time
  }

  of<Type extends Effect['type']>(type: Type): Extract<Effect, { type: Type }>[] {
    return this.effects.filter((effect): effect is Extract<Effect, { type: Type }> => effect.type === type)
  }

  /** What was written, told with the connection: `1: a b`. */
  get written(): string[] {
    return this.of('write').map(
      ({ epoch, entries }) => `${epoch}: ${entries.map(({ cargo }) => cargo).join(' ')}`,
    )
  }

  /** What became of messages, in order: `a received`, `b NOT_SENT`. */
  get settled(): string[] {
    return this.effects.flatMap((effect) => {
      if (effect.type === 'confirmed') return effect.entries.map(({ cargo }) => `${cargo} ${effect.level}`)
      if (effect.type !== 'rejected') return []
      return effect.entries.map(({ cargo }) => `${cargo} ${effect.code.replace('FORKSAFE_ERR_CLIENT_', '')}`)
    })
  }
}
