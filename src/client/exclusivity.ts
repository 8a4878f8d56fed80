// What an exclusive client has to do with others: its place in the line for the lease, the links between standbys and
// the holder, and who holds it. It decides nothing: the session is told, and says what is to be done.

import type { LeaseClaim, LeaseLink, LeaseOwner, LeaseProvider } from '../shared/lease-provider.js'
import type { ParsedClientOptions } from './client-options.js'
import { holderMessageIn, type MessageTerms, packData, unpackData } from './link-messages.js'
import type { IncomingMessage } from './message-stream.js'
import type { Entry } from './outbox.js'
import type { Outgoing } from './outgoing.js'
import { rehearseOnce } from './rehearsal.js'
import type { LeaseAct, SessionEvent } from './session-effects.js'
import { Sharing, type SharingPort } from './sharing.js'

export interface ExclusivityPort extends Omit<SharingPort, 'broadcast'> {
  handle(event: SessionEvent<Outgoing>): void
  /** A message that the holder's connection has brought, for a standby. */
  incoming(message: IncomingMessage): void
  /** Whom we wait for has changed. */
  standsBy(owner: LeaseOwner | null): void
}

export class Exclusivity {
  readonly #name: string
  readonly #options: ParsedClientOptions
  readonly #provider: LeaseProvider
  readonly #port: ExclusivityPort
  readonly #sharing: Sharing
  #claim: LeaseClaim | null = null
  /** To the holder, for a standby. */
  #link: LeaseLink | null = null
  #token: number | null = null
  /** Whether it was said that our connection is open. */
  #isOpen = false
  #owner: LeaseOwner | null = null
  /** Whom was warned of already. */
  readonly #strangers = new Set<string>()

  constructor(name: string, options: ParsedClientOptions, provider: LeaseProvider, port: ExclusivityPort) {
    this.#name = name
    this.#options = options
    this.#provider = provider
    this.#port = port
    provider.prepare?.(rehearseOnce)
    this.#sharing = new Sharing({ ...port, broadcast: (payload) => this.#claim?.broadcast(payload) })
  }

  /** The epoch of our lease; null: we do not hold it. */
  get fencingToken(): number | null {
    return this.#token
  }

  /** Who holds it, as far as is known, if it is not us. */
  get owner(): LeaseOwner | null {
    return this.#token === null ? this.#owner : null
  }

  /** To be called before anything is written: a lease that has passed is given up in this call. */
  check(): void {
    if (this.#token !== null) this.#claim?.isHeld()
  }

  carryOut(act: LeaseAct<Outgoing>): void {
    switch (act.type) {
      case 'claim':
        return this.#stand()
      case 'letGo':
        return this.#letGo(act)
      case 'need':
        return this.#claim?.need()
      case 'insist':
        return this.#claim?.insist()
      case 'askToLeave':
        return this.#claim?.askToLeave()
      case 'closeLinks':
        this.#sharing.bye()
        return this.#claim?.closeLinks()
      case 'forward':
        return this.#forward(act)
    }
  }

  opened(): void {
    if (this.#token === null || this.#isOpen) return
    this.#isOpen = true
    this.#claim?.opened()
  }

  failed(why: string): void {
    if (this.#token === null) return
    this.#isOpen = false
    this.#claim?.failed(why)
  }

  /** Something has come in on our connection. */
  received({ data, isBinary, epoch }: IncomingMessage): void {
    if (this.#options.fanout) this.#sharing.broadcast(data, isBinary, epoch)
  }

  #stand(): void {
    const { identity, url } = this.#options
    const isCurrent = (): boolean => this.#claim === claim
    const { handle } = this.#port
    const claim = this.#provider.claim(
      { kind: 'client', identity, name: this.#name, origin: originOf(url) },
      {
        granted: (epoch) => {
          if (!isCurrent()) return
          this.#token = epoch
          this.#isOpen = false
          this.#sharing.begin()
          handle({ type: 'granted' })
        },
        revoked: (why, timeout) => {
          if (isCurrent()) handle({ type: 'revoked', why, timeout })
        },
        lost: (why) => {
          if (isCurrent()) handle({ type: 'leaseLost', why })
        },
        standsBy: (owner) => {
          if (!isCurrent()) return
          this.#owner = owner
          if (owner !== null) this.#warnOfStranger(owner)
          this.#port.standsBy(owner)
        },
        linkOpened: (link) => {
          if (isCurrent()) this.#linkOpened(link)
        },
        linkReceived: (link, payload) => {
          if (isCurrent()) this.#linkReceived(link, payload)
        },
        linkClosed: (link) => {
          if (isCurrent()) this.#linkClosed(link)
        },
        mayLeave: () => {
          if (!isCurrent()) return
          this.#sharing.stopTaking()
          handle({ type: 'mayLeave' })
        },
        orphaned: () => {
          if (isCurrent()) handle({ type: 'orphaned' })
        },
      },
    )
    this.#claim = claim
  }

  /** Whoever goes elsewhere by the same identity is another service: each would keep the other from its upstream. */
  #warnOfStranger({ isOurs, origin, supervisor, pid }: LeaseOwner): void {
    const own = originOf(this.#options.url)
    if (isOurs || own === null || origin === null || own === origin) return
    const who = supervisor === null ? `process ${pid}` : `supervisor ${supervisor} (pid ${pid})`
    const key = `${supervisor ?? pid} ${origin}`
    if (this.#strangers.has(key)) return
    this.#strangers.add(key)
    process.emitWarning(
      `client ${JSON.stringify(this.#name)}: its identity ${JSON.stringify(this.#options.identity)} is held by ${who} for ${origin}, and this client is for ${own}: two services share one identity; give one of them another identity`,
      { type: 'ForksafeWarning', code: 'FORKSAFE_WARN_IDENTITY' },
    )
  }

  #letGo({ isFinal, isSuperseded }: Extract<LeaseAct<Outgoing>, { type: 'letGo' }>): void {
    const claim = this.#claim
    if (claim === null) return
    const hadLease = this.#token !== null
    // Before it is said: the answer may be that it is ours again.
    this.#token = null
    if (hadLease && (!isFinal || isSuperseded)) claim.letGo(isSuperseded)
    if (!isFinal) return
    if (this.#link !== null) this.#linkClosed(this.#link)
    this.#claim = null
    this.#owner = null
    void claim.end()
  }

  // --- Links ----------------------------------------------------------------------------------------------------

  #linkOpened(link: LeaseLink): void {
    if (this.#token !== null) return this.#sharing.opened(link)
    this.#link = link
    this.#port.handle({ type: 'linkOpened', link: link.id })
  }

  #linkReceived(link: LeaseLink, payload: unknown): void {
    if (link.id !== this.#link?.id) return this.#sharing.received(link, payload)
    const message = holderMessageIn(payload)
    if (message === null) return
    if (message.t !== 'incoming')
      return this.#port.handle({ type: 'linkAnswered', link: link.id, answer: message })
    if (!this.#options.fanout) return
    for (const [data, isBinary] of message.messages)
      this.#port.incoming({ data: unpackData(data), isBinary, epoch: message.epoch })
  }

  #linkClosed(link: LeaseLink): void {
    if (link.id !== this.#link?.id) return this.#sharing.closed(link)
    this.#link = null
    this.#port.handle({ type: 'linkClosed', link: link.id })
  }

  #forward({ batch, entries }: Extract<LeaseAct<Outgoing>, { type: 'forward' }>): void {
    const first = entries[0]?.sequence ?? 0
    const isDense = entries.every(({ sequence }, index) => sequence === first + index)
    const now = this.#port.now()
    const terms = entries.flatMap((entry, index) => {
      const own = termsOf(entry, now)
      return own === null ? [] : [[index, own] as const]
    })
    this.#link?.send({
      t: 'forward',
      batch,
      first,
      ...(isDense ? {} : { numbers: entries.map(({ sequence }) => sequence) }),
      data: entries.map(({ cargo }) => packData(cargo.data)),
      ...(terms.length === 0 ? {} : { terms: Object.fromEntries(terms) }),
    })
  }
}

const termsOf = (
  { level, isLevelFixed, expiresAt, cargo }: Entry<Outgoing>,
  now: number,
): MessageTerms | null => {
  if (!isLevelFixed && expiresAt === null) return null
  const { id } = cargo.options
  return {
    ...(isLevelFixed ? { level } : {}),
    ...(id === undefined ? {} : { id }),
    ...(expiresAt === null ? {} : { expiresIn: Math.max(0, expiresAt - now) }),
  }
}

/** Where it goes, if that is known before it is dialled. */
const originOf = (url: ParsedClientOptions['url']): string | null =>
  typeof url === 'function' ? null : new URL(url).origin
