// What a standby does with its messages: hands them to the holder in the same tree, and settles them by what that one
// says. Pure, a part of client-session.ts beside delivery.ts, with the same outbox: a message is with the one or with
// the other. The holder's side is sharing.ts.

import type { ErrorCode } from '../shared/errors.js'
import type { HolderAnswer } from './link-messages.js'
import type { Entry, Outbox } from './outbox.js'
import type { SessionEffect } from './session-effects.js'

/** Handed over and not answered: what the holder keeps for one standby, at most. */
const WINDOW = { count: 4_096, bytes: 1024 * 1024 }
/** Bytes that travel as one message: larger ones cost each process on the way more for each byte. */
const BATCH = 48 * 1024
/** What fits through the channel between two processes as one message, with room for its encoding. */
const LARGEST = 8 * 1024 * 1024

export interface ForwardingDuties<Cargo> {
  emit(effect: SessionEffect<Cargo>): void
  now(): number
  reject(entries: readonly Entry<Cargo>[], code: ErrorCode, why: string): void
  settled(): void
}

/** A message that the holder has, or had. */
interface HandedOver<Cargo> {
  entry: Entry<Cargo>
  batch: number
  /** When it was written before it was handed over: that again, if the holder did not write it. */
  writtenBefore: number | null
}

export class Forwarding<Cargo> {
  readonly #outbox: Outbox<Cargo>
  readonly #onUnconfirmed: 'reject' | 'resend'
  readonly #duties: ForwardingDuties<Cargo>
  #link: number | null = null
  /** The holder takes no more over this link. */
  #isOver = false
  #isWriteDue = false
  #lastBatch = 0
  readonly #handedOver = new Map<number, HandedOver<Cargo>>()
  #bytes = 0

  constructor(outbox: Outbox<Cargo>, onUnconfirmed: 'reject' | 'resend', duties: ForwardingDuties<Cargo>) {
    this.#outbox = outbox
    this.#onUnconfirmed = onUnconfirmed
    this.#duties = duties
  }

  /** Whether messages can be handed over. */
  get isOpen(): boolean {
    return this.#link !== null && !this.#isOver
  }

  opened(link: number): void {
    this.#link = link
    this.#isOver = false
    this.#lastBatch = 0
    this.writeTurn()
  }

  /** What the holder has not answered is either rejected or waits again, in order. */
  closed(link: number, why: string): void {
    if (link !== this.#link) return
    this.#link = null
    this.#handedOver.clear()
    this.#bytes = 0
    const lost = this.#outbox.unconfirmed()
    this.#outbox.rewind()
    if (this.#onUnconfirmed === 'resend') return
    this.#duties.reject(lost, 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', `its arrival was not proved yet: ${why}`)
  }

  writeSoon(): void {
    if (this.#isWriteDue) return
    this.#isWriteDue = true
    this.#duties.emit({ type: 'writeSoon' })
  }

  writeTurn(): void {
    this.#isWriteDue = false
    const now = this.#duties.now()
    while (this.#link !== null && this.isOpen && this.#outbox.hasWaiting) {
      const count = WINDOW.count - this.#handedOver.size
      const bytes = WINDOW.bytes - this.#bytes
      if (count <= 0 || bytes <= 0) return
      const entries = this.#fit(this.#outbox.takeWaiting(Math.min(bytes, BATCH), count), now)
      if (entries.length === 0) continue
      const batch = ++this.#lastBatch
      for (const entry of entries) {
        this.#handedOver.set(entry.sequence, { entry, batch, writtenBefore: entry.writtenAt })
        this.#bytes += entry.bytes
        entry.writtenAt = now
      }
      this.#duties.emit({ type: 'forward', link: this.#link, batch, entries })
    }
  }

  #fit(entries: Entry<Cargo>[], now: number): Entry<Cargo>[] {
    const expired = entries.filter(({ expiresAt }) => expiresAt !== null && expiresAt <= now)
    const tooLarge = entries.filter(({ bytes }) => bytes > LARGEST)
    if (expired.length + tooLarge.length === 0) return entries
    this.#duties.reject(expired, 'FORKSAFE_ERR_CLIENT_EXPIRED', 'the message has expired')
    this.#duties.reject(
      tooLarge,
      'FORKSAFE_ERR_CLIENT_NOT_SENT',
      `a standby can hand over ${LARGEST} bytes in one message at most`,
    )
    return entries.filter((entry) => this.#outbox.isPending(entry))
  }

  answered(link: number, answer: HolderAnswer): void {
    if (link !== this.#link) return
    if (answer.t === 'bye') this.#bye(answer.lastBatch, answer.unsent)
    else {
      for (const [first, last, level, epoch] of answer.confirmed ?? []) {
        const entries = this.#take(first, last).filter((entry) => this.#outbox.confirm(entry))
        if (entries.length > 0) this.#duties.emit({ type: 'confirmed', entries, level, epoch })
      }
      for (const [number, code, why] of answer.rejected ?? []) this.#rejected(number, code, why)
      if (this.#outbox.hasWaiting) this.writeTurn()
    }
    this.#duties.settled()
  }

  /** In the order in which they were handed over; a range may name more than ever was. */
  #take(first: number, last: number): Entry<Cargo>[] {
    const taken: Entry<Cargo>[] = []
    for (const [sequence, { entry }] of this.#handedOver) {
      if (sequence > last) break
      if (sequence < first) continue
      this.#handedOver.delete(sequence)
      this.#bytes -= entry.bytes
      taken.push(entry)
    }
    return taken
  }

  #rejected(number: number, code: ErrorCode, why: string): void {
    const one = this.#handedOver.get(number)
    if (one === undefined) return
    this.#take(number, number)
    // The holder knows whether it was written, and says so by the code.
    if (code !== 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN') one.entry.writtenAt = one.writtenBefore
    this.#duties.reject([one.entry], code, why)
  }

  /** What the holder has not read, or not written, was not sent: that is known. */
  #bye(lastBatch: number, unsent: readonly number[]): void {
    this.#isOver = true
    const known = new Set(unsent)
    for (const [sequence, { entry, batch, writtenBefore }] of this.#handedOver) {
      if (batch > lastBatch || known.has(sequence)) entry.writtenAt = writtenBefore
    }
  }
}
