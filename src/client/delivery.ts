// What happens on an open connection: messages are written, proved and acknowledged, and the peer is watched. Pure, a
// part of client-session.ts: that one knows whether there is a connection, this one what goes over it.

import type { ErrorCode } from '../shared/errors.js'
import { Liveness, type LivenessOptions } from './liveness.js'
import { type Entry, Outbox, type OutboxLimits } from './outbox.js'
import { PingBarrier } from './ping-barrier.js'
import type { SessionEffect } from './session-effects.js'

/** What the peer is known to do with pings. `missing`: it has never answered one. */
type PingCapability = 'unknown' | 'proved' | 'missing'

export interface DeliveryOptions extends LivenessOptions {
  maxPending: OutboxLimits
  receipts: 'auto' | 'require' | 'off'
  onUnconfirmed: 'reject' | 'resend'
}

export interface DeliveryChance {
  /** Monotonic, in ms. */
  now(): number
  /** 8 random bytes as text. */
  nonce(): string
}

/** What the session does with what is found here. */
export interface DeliveryDuties<Cargo> {
  emit(effect: SessionEffect<Cargo>): void
  /** Something was settled. */
  settled(): void
  /** The peer does not live up to `receipts: 'require'`. */
  unfit(why: string): void
}

export class Delivery<Cargo> {
  readonly outbox: Outbox<Cargo>
  readonly #options: DeliveryOptions
  readonly #chance: DeliveryChance
  readonly #duties: DeliveryDuties<Cargo>
  readonly #barrier: PingBarrier
  readonly #liveness: Liveness
  /** The connection that messages go to; null: none, or none that can be trusted any more. */
  #epoch: number | null = null
  #pings: PingCapability = 'unknown'
  #rtt: number | null = null
  #isHeld = false
  #isWriteDue = false
  /** Whether this connection has not been pinged yet. */
  #isProbeDue = false
  #isTurnAwaited = false
  /** Connections in a row on which a peer that may answer no pings was silent. */
  #silences = 0
  /** The last one that was given up for that reason. */
  #epochInDoubt = 0
  /** What the watch is set for; and when it rings, which is later where that had fallen due before it was set. */
  #watchedUntil = Number.POSITIVE_INFINITY
  #ringsAt = 0
  /** Batches that the kernel has not taken whole: the last message of each, and their bytes. */
  #unflushed: { sequence: number; bytes: number }[] = []
  /** Number of the last message that the kernel of this connection has taken. */
  #lastFlushed = 0

  constructor(options: DeliveryOptions, chance: DeliveryChance, duties: DeliveryDuties<Cargo>) {
    this.#options = options
    this.#chance = chance
    this.#duties = duties
    this.outbox = new Outbox(options.maxPending)
    this.#barrier = new PingBarrier(() => chance.nonce())
    this.#liveness = new Liveness(options)
  }

  /** ms that the last ping took; null before the first answer. */
  get rtt(): number | null {
    return this.#rtt
  }

  /** What a message can be proved at best by this peer; null as long as that is not known. */
  get bestReceipt(): 'written' | 'received' | null {
    if (this.#options.receipts === 'off' || this.#pings === 'missing') return 'written'
    return this.#pings === 'proved' ? 'received' : null
  }

  /** Whether nothing more is written to the connection that is there. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Whether there is a connection that can be used. */
  get isConnected(): boolean {
    return this.#epoch !== null
  }

  get isProofAwaited(): boolean {
    return this.#barrier.isOutstanding && this.#pings !== 'missing'
  }

  // --- The connection comes and goes ----------------------------------------------------------------------------

  /**
   * The first ping also tells whether this peer answers pings at all. Behind messages it proves them as well; where there
   * are none, it lets those who waited for the connection go first.
   */
  opened(epoch: number): void {
    this.#epoch = epoch
    this.#isHeld = false
    this.#liveness.begin(this.#chance.now())
    this.writeTurn()
    this.#isProbeDue = !this.#barrier.isOutstanding && this.#options.receipts !== 'off'
    if (this.#isProbeDue) this.#awaitTurn(epoch)
    this.#watch()
  }

  /** The connection can be used no longer; whatever was written to it is either rejected or waits again, in order. */
  gone(epoch: number, why: string): void {
    const taken = this.#lastFlushed
    this.#epoch = null
    this.#barrier.reset()
    this.#unflushed = []
    this.#lastFlushed = 0
    this.#isTurnAwaited = false
    this.#watchedUntil = Number.POSITIVE_INFINITY
    const lost = this.outbox.unconfirmed()
    this.outbox.rewind()
    const isInDoubt = this.#epochInDoubt === epoch
    if (!isInDoubt) this.#resolveDoubt()
    if (this.#options.onUnconfirmed === 'resend') return
    if (isInDoubt) this.outbox.withhold(lost.filter((entry) => entry.sequence <= taken && isDoubtful(entry)))
    const withheld = new Set(this.outbox.withheld())
    const unproved = lost.filter((entry) => !withheld.has(entry))
    this.reject(unproved, 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', `its arrival was not proved yet: ${why}`)
  }

  /** Nothing more is written; what was written can still be proved. */
  hold(): void {
    this.#isHeld = true
  }

  /** Nothing more is given to this connection; it will be `gone`. */
  abandon(): void {
    this.#epoch = null
  }

  // --- Writing --------------------------------------------------------------------------------------------------

  /** Messages of one turn are written together, at its end. */
  writeSoon(): void {
    if (this.#isWriteDue) return
    this.#isWriteDue = true
    this.#duties.emit({ type: 'writeSoon' })
  }

  writeTurn(): void {
    this.#isWriteDue = false
    this.#write()
    this.#pingIfUnproved()
    this.#watch()
  }

  /** As much as the kernel can be expected to take: what is beyond can still expire, and is known not to be sent. */
  #write(): void {
    const now = this.#chance.now()
    while (this.#epoch !== null && this.#mayWrite && this.#room > 0 && this.outbox.hasWaiting) {
      const entries = this.#fit(this.outbox.takeWaiting(this.#room), now)
      const last = entries.at(-1)
      if (last === undefined) continue
      let bytes = 0
      for (const entry of entries) {
        entry.writtenAt = now
        entry.epoch = this.#epoch
        bytes += entry.bytes
      }
      this.#unflushed.push({ sequence: last.sequence, bytes })
      this.#liveness.queued(now)
      this.#duties.emit({ type: 'write', epoch: this.#epoch, entries })
    }
  }

  get #mayWrite(): boolean {
    if (this.#isHeld) return false
    return this.#options.receipts !== 'require' || this.#pings === 'proved'
  }

  get #room(): number {
    return WRITE_WINDOW - this.#unflushed.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Without what has expired and what this peer cannot prove: in this moment it can still be said to be unsent. */
  #fit(entries: Entry<Cargo>[], now: number): Entry<Cargo>[] {
    const expired = entries.filter(({ expiresAt }) => expiresAt !== null && expiresAt <= now)
    const hopeless = this.#pings === 'missing' ? entries.filter(insistsOnReceipt) : []
    if (expired.length + hopeless.length === 0) return entries
    this.reject(expired, 'FORKSAFE_ERR_CLIENT_EXPIRED', 'the message has expired')
    this.reject(hopeless, 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE', NO_PONGS)
    return entries.filter((entry) => this.outbox.isPending(entry))
  }

  flushed(epoch: number, sequence: number): void {
    if (epoch !== this.#epoch) return
    while ((this.#unflushed[0]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) this.#unflushed.shift()
    this.#liveness.flushed(this.#unflushed.length === 0, this.#chance.now())
    const before = this.#lastFlushed
    this.#lastFlushed = sequence
    this.#confirmFlushed(epoch, before)
    if (this.outbox.hasWaiting) this.writeTurn()
    this.#duties.settled()
  }

  /** For whom the kernel's word is enough, or has to be. */
  #confirmFlushed(epoch: number, after: number): void {
    const entries =
      this.#pings === 'missing' || this.#options.receipts === 'off'
        ? this.outbox.receivedUpTo(this.#lastFlushed)
        : this.outbox.confirmBetween(after, this.#lastFlushed, ({ level }) => level === 'written')
    if (entries.length > 0) this.#duties.emit({ type: 'confirmed', entries, level: 'written', epoch })
  }

  // --- Proof ----------------------------------------------------------------------------------------------------

  #ping(): void {
    if (this.#epoch === null) return
    this.#isProbeDue = false
    const now = this.#chance.now()
    this.#liveness.asked(now)
    const payload = this.#barrier.raise(this.outbox.lastWritten, now)
    this.#duties.emit({ type: 'ping', epoch: this.#epoch, payload })
  }

  /** One barrier at a time: the next covers everything that was written meanwhile. */
  #pingIfUnproved(): void {
    if (this.#options.receipts === 'off' || !this.outbox.hasUnproved) return
    // An outstanding one whose answer nobody waits for any more (`rejectUnread`) proves nothing in time.
    const isAwaited = this.#liveness.isAnswerOwed || this.#pings === 'missing'
    if (this.#barrier.isOutstanding && isAwaited) return
    this.#ping()
  }

  ponged(epoch: number, payload: string): void {
    if (epoch !== this.#epoch) return
    const now = this.#chance.now()
    const proof = this.#barrier.answered(payload, now)
    // Unsolicited, forged, or the second answer to one ping: a sign of life and no more.
    if (proof === null) return
    this.#rtt = proof.rtt
    this.#liveness.answered(now)
    if (this.#pings === 'missing') this.#duties.emit({ type: 'receiptsRestored', epoch })
    this.#pings = 'proved'
    this.#resolveDoubt()
    const entries = this.outbox.receivedUpTo(proof.covers)
    if (entries.length > 0) this.#duties.emit({ type: 'confirmed', entries, level: 'received', epoch })
    this.writeTurn()
    this.#duties.settled()
  }

  acknowledged(entry: Entry<Cargo>): void {
    if (entry.writtenAt === null || this.#epoch === null || !this.outbox.confirm(entry)) return
    // The acknowledgement may come on another connection than the message went over.
    this.#duties.emit({ type: 'confirmed', entries: [entry], level: 'processed', epoch: entry.epoch })
    this.#duties.settled()
  }

  /** Each with the code of its own truth: what was ever written may have arrived. */
  reject(entries: readonly Entry<Cargo>[], code: ErrorCode, why: string): void {
    const rejected = entries.filter((entry) => this.outbox.reject(entry))
    if (rejected.length === 0) return
    const written = rejected.filter(({ writtenAt }) => writtenAt !== null)
    const unsent = rejected.filter(({ writtenAt }) => writtenAt === null)
    if (unsent.length > 0) this.#duties.emit({ type: 'rejected', entries: unsent, code, why })
    if (written.length > 0)
      this.#duties.emit({ type: 'rejected', entries: written, code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why })
    this.#duties.settled()
  }

  /** What is somebody else's goes back to whom it came from (sharing.ts): it is not ours to reject, or to wait for. */
  giveBack(): void {
    for (const entry of this.outbox.all()) if (entry.isForeign) this.outbox.forget(entry)
  }

  rejectAll(why: string): void {
    this.giveBack()
    this.reject(this.outbox.all(), 'FORKSAFE_ERR_CLIENT_NOT_SENT', why)
  }

  // --- Life -----------------------------------------------------------------------------------------------------

  heard(epoch: number, at: number): void {
    if (epoch === this.#epoch) this.#liveness.heard(at)
  }

  paused(): void {
    this.#liveness.paused(this.#chance.now())
    this.#watch()
  }

  resumed(): void {
    this.#liveness.resumed(this.#chance.now())
    this.#watch()
  }

  /** Sets the watch to when the next verdict is due, unless it rings before that anyway. */
  #watch(): void {
    if (this.#epoch === null) return
    const due = Math.min(this.#liveness.dueAt(), this.#acknowledgementDueAt)
    if (due >= this.#watchedUntil) return
    this.#watchedUntil = due
    const now = this.#chance.now()
    const ms = Math.max(1, Math.ceil(due - now))
    this.#ringsAt = now + ms
    this.#duties.emit({ type: 'setTimer', name: 'watch', ms })
  }

  get #acknowledgementDueAt(): number {
    const writtenAt = this.outbox.oldestUnacknowledged?.writtenAt ?? null
    return writtenAt === null ? Number.POSITIVE_INFINITY : writtenAt + this.#options.receiptTimeout
  }

  watchRang(): void {
    this.#watchedUntil = Number.POSITIVE_INFINITY
    if (this.#epoch === null) return
    const now = this.#chance.now()
    if (this.#liveness.isLate(this.#ringsAt, now)) this.#liveness.forgive(now)
    this.#rejectUnacknowledged(now)
    const verdict = this.#liveness.judge(now)
    if (verdict === 'quiet') this.#ping()
    else if (verdict === 'held') this.#pongUnasked(this.#epoch, now)
    else if (verdict === 'unread') this.#rejectUnread()
    else if (verdict !== 'fine') return this.#awaitTurn(this.#epoch)
    this.#watch()
  }

  /** If the event loop was busy, what has come in was not read yet. */
  #awaitTurn(epoch: number): void {
    if (this.#isTurnAwaited) return
    this.#isTurnAwaited = true
    this.#duties.emit({ type: 'awaitTurn', epoch })
  }

  turnOver(epoch: number): void {
    if (epoch !== this.#epoch) return
    this.#isTurnAwaited = false
    if (this.#isProbeDue) return this.#probe()
    const { heartbeatTimeout, receiptTimeout } = this.#options
    const verdict = this.#liveness.judge(this.#chance.now())
    const isAnswerMissing = verdict === 'silent' || verdict === 'unanswered' || verdict === 'unproved'
    if (isAnswerMissing && this.#pings === 'unknown' && this.#liveness.isSilent) this.#doubt(epoch)
    else if (isAnswerMissing && this.#pings !== 'proved') this.#lackPongs(epoch)
    else if (verdict === 'unanswered') this.#ping()
    else if (verdict === 'silent')
      this.#giveUp(epoch, `the peer was silent and did not answer a ping within ${heartbeatTimeout} ms`)
    else if (verdict === 'unproved')
      this.#giveUp(epoch, `the peer did not answer pings for ${receiptTimeout} ms`)
    else if (verdict === 'stuck')
      this.#giveUp(epoch, `the peer did not take what was written within ${receiptTimeout} ms`)
    this.#watch()
  }

  #probe(): void {
    if (!this.#barrier.isOutstanding) this.#ping()
    this.#watch()
  }

  #giveUp(epoch: number, why: string): void {
    this.abandon()
    this.#duties.emit({ type: 'terminateSocket', epoch, why })
  }

  /**
   * A peer that has never answered a ping and says nothing else either: dead, or one that does not answer pings? The next
   * connection will tell. Until then nobody is told what became of what this one had taken.
   */
  #doubt(epoch: number): void {
    if (++this.#silences >= SILENCES_OF_THE_LIVING) return this.#lackPongs(epoch)
    this.#epochInDoubt = epoch
    this.#giveUp(
      epoch,
      `the peer was silent and did not answer a ping within ${this.#options.heartbeatTimeout} ms`,
    )
  }

  /** The peer does answer pings, or there is no telling: the silent connection was a dead one. */
  #resolveDoubt(): void {
    this.#silences = 0
    const why = 'the connection that it was written to was silent, and had to be given up'
    this.reject(this.outbox.withheld(), 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why)
  }

  /** It has never answered a ping, on any connection: it is one of those that do not. */
  #lackPongs(epoch: number): void {
    this.#liveness.forget()
    if (this.#options.receipts === 'require') return this.#duties.unfit(NO_PONGS)
    if (this.#pings === 'missing') return
    this.#pings = 'missing'
    if (this.#options.receipts === 'auto')
      this.#duties.emit({ type: 'receiptsDegraded', epoch, reason: NO_PONGS })
    const hopeless = this.outbox.unconfirmed().filter(insistsOnReceipt)
    this.reject(hopeless, 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE', NO_PONGS)
    const taken = this.outbox.withheld().filter((entry) => this.outbox.confirm(entry))
    if (taken.length > 0)
      this.#duties.emit({ type: 'confirmed', entries: taken, level: 'written', epoch: this.#epochInDoubt })
    this.#confirmFlushed(epoch, 0)
    this.#duties.settled()
  }

  #pongUnasked(epoch: number, now: number): void {
    this.#liveness.held(now)
    this.#duties.emit({ type: 'pong', epoch })
  }

  /** The proof may have come, behind messages that our own consumer does not take. */
  #rejectUnread(): void {
    this.#liveness.forget()
    if (this.#pings === 'missing') return
    const before = this.#chance.now() - this.#options.receiptTimeout
    // What an earlier connection had, and this one has not yet, waits for its turn and not for a receipt.
    const unproved = this.outbox
      .unconfirmed()
      .filter(({ sequence }) => sequence <= this.outbox.lastWritten)
      .filter(({ level, writtenAt }) => level !== 'written' && writtenAt !== null && writtenAt <= before)
    const why = `its receipt was not read within ${this.#options.receiptTimeout} ms, because incoming messages were not taken`
    this.reject(unproved, 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why)
    // Where nothing may be written before the peer has answered, that answer is what everything waits for.
    if (this.#options.receipts === 'require' && this.#pings === 'unknown') this.#ping()
    else this.#pingIfUnproved()
  }

  #rejectUnacknowledged(now: number): void {
    const why = `it was not acknowledged within ${this.#options.receiptTimeout} ms`
    while (this.#acknowledgementDueAt <= now) {
      const entry = this.outbox.oldestUnacknowledged
      if (entry !== undefined) this.reject([entry], 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why)
    }
  }
}

const insistsOnReceipt = ({ level, isLevelFixed }: Entry<unknown>): boolean =>
  level === 'received' && isLevelFixed

/** What is confirmed as written where the peer answers no pings. */
const isDoubtful = ({ level, isLevelFixed }: Entry<unknown>): boolean => level === 'received' && !isLevelFixed

/** So many connections in a row that were silent from their first ping on are no accident. */
const SILENCES_OF_THE_LIVING = 2
/** Bytes given to the kernel and not taken by it. Enough to keep a fast link busy from one turn to the next. */
const WRITE_WINDOW = 256 * 1024
const NO_PONGS = 'the peer answers no pings'
