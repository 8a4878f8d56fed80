// What the holder of an exclusive connection does for standbys: takes their messages into its outbox, tells them what
// became of each, and gives back what it will not send. The standby's side is forwarding.ts.

import type { ErrorCode } from '../shared/errors.js'
import { ForksafeError } from '../shared/errors.js'
import type { LeaseLink } from '../shared/lease-provider.js'
import type { Sendable } from './connection.js'
import {
  type AnswerMessage,
  type ByeMessage,
  type ConfirmedRange,
  type ForwardMessage,
  forwardMessageIn,
  type IncomingBatch,
  type MessageTerms,
  packData,
  type RejectedNumber,
  unpackData,
} from './link-messages.js'
import type { Entry } from './outbox.js'
import type { Outgoing } from './outgoing.js'
import type { Receipt, SendOptions } from './send-options.js'

export interface SharingPort {
  /** Takes messages into the outbox, whatever room there is: who sends them is bounded by the window of its link. */
  take(messages: readonly ForeignMessage[]): void
  /** Takes one out of it again. */
  forget(entry: Entry<Outgoing>): void
  now(): number
  afterTurn(callback: () => void): void
  broadcast(payload: unknown): void
}

/** A message of a standby in the outbox of the holder. */
export class ForeignMessage implements Outgoing {
  readonly data: Sendable
  readonly sentAt: number
  readonly options: SendOptions
  readonly number: number
  readonly terms: MessageTerms
  release: (() => void) | null = null
  entry: Entry<Outgoing> | null = null
  readonly #standby: Standby

  constructor(standby: Standby, number: number, data: Sendable, terms: MessageTerms, sentAt: number) {
    this.#standby = standby
    this.number = number
    this.data = data
    this.terms = terms
    this.sentAt = sentAt
    this.options = terms.id === undefined ? NO_TERMS : { id: terms.id }
  }

  resolve(receipt: Receipt): void {
    this.#standby.confirmed(this, receipt)
  }

  reject(error: unknown): void {
    this.#standby.rejected(this, error)
  }
}

export class Sharing {
  readonly #port: SharingPort
  readonly #standbys = new Map<number, Standby>()
  #incoming: IncomingBatch | null = null
  #isTaking = true

  constructor(port: SharingPort) {
    this.#port = port
  }

  /** We hold the connection. */
  begin(): void {
    this.#isTaking = true
  }

  opened(link: LeaseLink): void {
    this.#standbys.set(link.id, new Standby(link, this.#port))
  }

  received(link: LeaseLink, payload: unknown): void {
    const message = forwardMessageIn(payload)
    const standby = this.#standbys.get(link.id)
    if (message === null || standby === undefined || !this.#isTaking) return
    this.#port.take(standby.read(message))
  }

  /** Whoever sent is gone; what it sent goes out all the same. */
  closed(link: LeaseLink): void {
    this.#standbys.get(link.id)?.leave()
    this.#standbys.delete(link.id)
  }

  /** What comes from now on is given back at the end, unread. */
  stopTaking(): void {
    this.#isTaking = false
  }

  /** The connection is about to be closed, or gone: what is not proved goes back to whoever sent it. */
  bye(): void {
    this.#isTaking = false
    for (const standby of this.#standbys.values()) standby.bye()
    this.#standbys.clear()
  }

  /** What has come in, for every standby; of one turn together. */
  broadcast(data: string | Buffer, isBinary: boolean, epoch: number): void {
    if (this.#standbys.size === 0) return
    if (this.#incoming !== null && this.#incoming.epoch !== epoch) this.#flushIncoming()
    if (this.#incoming === null) {
      this.#incoming = { t: 'incoming', epoch, messages: [] }
      this.#port.afterTurn(() => this.#flushIncoming())
    }
    this.#incoming.messages.push([packData(data), isBinary])
  }

  #flushIncoming(): void {
    const batch = this.#incoming
    this.#incoming = null
    if (batch !== null) this.#port.broadcast(batch)
  }
}

/** One standby, as the holder sees it. */
class Standby {
  readonly #link: LeaseLink
  readonly #port: SharingPort
  readonly #pending = new Set<ForeignMessage>()
  #lastBatch = 0
  #answer: Required<Pick<AnswerMessage, 'confirmed' | 'rejected'>> = { confirmed: [], rejected: [] }
  #isAnswerDue = false
  #isGone = false

  constructor(link: LeaseLink, port: SharingPort) {
    this.#link = link
    this.#port = port
  }

  read({ batch, first, numbers, data, terms }: ForwardMessage): ForeignMessage[] {
    this.#lastBatch = batch
    const now = this.#port.now()
    const messages = data.map((packed, index) => {
      const number = numbers?.[index] ?? first + index
      return new ForeignMessage(this, number, unpackData(packed), terms?.[index] ?? NO_TERMS, now)
    })
    for (const message of messages) this.#pending.add(message)
    return messages
  }

  confirmed(message: ForeignMessage, { level, epoch }: Receipt): void {
    if (!this.#pending.delete(message) || this.#isGone) return
    const { confirmed } = this.#answer
    const last = confirmed.at(-1)
    const { number } = message
    if (last !== undefined && last[1] === number - 1 && last[2] === level && last[3] === epoch)
      last[1] = number
    else confirmed.push([number, number, level, epoch] satisfies ConfirmedRange)
    this.#answerSoon()
  }

  rejected(message: ForeignMessage, error: unknown): void {
    if (!this.#pending.delete(message) || this.#isGone) return
    const [code, why]: [ErrorCode, string] =
      error instanceof ForksafeError
        ? [error.code, error.message]
        : ['FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', String(error)]
    this.#answer.rejected.push([message.number, code, why] satisfies RejectedNumber)
    this.#answerSoon()
  }

  #answerSoon(): void {
    if (this.#isAnswerDue) return
    this.#isAnswerDue = true
    this.#port.afterTurn(() => this.#flush())
  }

  #flush(): void {
    this.#isAnswerDue = false
    const { confirmed, rejected } = this.#answer
    if (this.#isGone || confirmed.length + rejected.length === 0) return
    this.#answer = { confirmed: [], rejected: [] }
    this.#link.send({
      t: 'answer',
      ...(confirmed.length === 0 ? {} : { confirmed }),
      ...(rejected.length === 0 ? {} : { rejected }),
    } satisfies AnswerMessage)
  }

  bye(): void {
    this.#flush()
    const unsent: number[] = []
    for (const { entry, number } of this.#pending) {
      if (entry === null) continue
      if (entry.writtenAt === null) unsent.push(number)
      this.#port.forget(entry)
    }
    this.#link.send({ t: 'bye', lastBatch: this.#lastBatch, unsent } satisfies ByeMessage)
    this.leave()
  }

  leave(): void {
    this.#isGone = true
    this.#pending.clear()
  }
}

const NO_TERMS = {}
