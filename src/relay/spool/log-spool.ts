// The spool of one client over a log of segments: commits in groups, hands out in order, settles, forgets. Who is let in is
// admission.ts, what waits backlog.ts; bytes and files are the other files here, what is sent when forwarder-core.ts.

import { messageOf as reasonOf } from '../../shared/errors.js'
import type {
  AppendOutcome,
  DeliveryReceipt,
  Fate,
  FateState,
  NewMessage,
  Refusal,
  SpooledMessage,
} from '../messages.js'
import type { ParkedMessage, Settlement, Spool, SpoolLimits, SpoolStatus } from '../spool.js'
import { Admission, refused } from './admission.js'
import { Backlog } from './backlog.js'
import { GroupCommit } from './group-commit.js'
import { MessageReader } from './message-reader.js'
import type { ParkedFolder } from './parked-folder.js'
import type { Progress } from './progress.js'
import { encodeMessage, encodeNote, hashId, messageOf, messageSize } from './record.js'
import type { Recovered } from './recover.js'
import { Remembered } from './remembered.js'
import type { Segment } from './segment.js'
import { segmentSize } from './segment-size.js'
import { SegmentWriter, WriteFailed } from './segment-writer.js'
import type { SpoolFiles } from './spool-files.js'

/** Bytes that go to the disk together. */
const MAX_BATCH = 1024 * 1024
/** ms within which progress is on its way to the disk. */
const PROGRESS_DELAY = 50
/** ms between two looks at what may be forgotten. */
const SWEEP_INTERVAL = 10_000

/** What waits for the disk: a message with who wants to know, or a note on one. */
type Item =
  | { type: 'message'; message: NewMessage; size: number; answer: (outcome: AppendOutcome) => void }
  | { type: 'note'; kind: 'dropped' | 'expired'; seq: number; answer: (failed: Refusal | null) => void }

export interface LogSpoolParts {
  files: SpoolFiles
  folder: string
  limits: SpoolLimits
  clock: () => number
  warn: (text: string) => void
  recovered: Recovered
  progress: Progress
  parked: ParkedFolder
}

export class LogSpool implements Spool {
  readonly #files: SpoolFiles
  readonly #limits: SpoolLimits
  readonly #clock: () => number
  readonly #warn: (text: string) => void
  readonly #progress: Progress
  readonly #parked: ParkedFolder
  readonly #segments: Segment[]
  readonly #writer: SegmentWriter
  readonly #commits: GroupCommit<Item>
  readonly #backlog: Backlog
  readonly #remembered: Remembered
  readonly #admission: Admission
  #pendingCount = 0
  #pendingBytes = 0
  #progressTimer: NodeJS.Timeout | null = null
  readonly #sweepTimer: NodeJS.Timeout
  #sweeping: Promise<void> | null = null
  /** Bytes that those who wait for a sweep have no room for. */
  #needed = 0
  #isClosed = false
  #refusing: string | null = null
  readonly #counts = { accepted: 0, delivered: 0, expired: 0, quarantined: 0 }

  constructor({ files, folder, limits, clock, warn, recovered, progress, parked }: LogSpoolParts) {
    this.#files = files
    this.#limits = limits
    this.#clock = clock
    this.#warn = warn
    this.#progress = progress
    this.#parked = parked
    this.#segments = recovered.segments
    this.#counts.quarantined = recovered.quarantined
    this.#remembered = new Remembered({
      window: limits.dedupeWindow,
      messages: limits.dedupeMessages,
      through: progress.settledThrough,
      now: clock(),
    })
    const dropped: number[] = []
    for (const [seq, { state, at }] of recovered.notes) {
      this.#remembered.note(seq, { state, at, reason: null })
      if (state === 'dropped' && seq > progress.settledThrough) dropped.push(seq)
    }
    this.#writer = new SegmentWriter({
      files,
      folder,
      size: segmentSize(limits.maxBytes),
      salt: progress.salt,
      last: recovered.segments.at(-1) ?? null,
      isLastWhole: recovered.isLastWhole,
      lastNumber: recovered.lastNumber,
      onBegun: (segment) => this.#segments.push(segment),
      warn,
    })
    this.#commits = new GroupCommit(
      (batch) => this.#commit(batch),
      (item) => (item.type === 'message' ? item.size : 0),
      MAX_BATCH,
    )
    const reader = new MessageReader(
      () => this.#segments,
      ({ path }, offset) => {
        this.#counts.quarantined++
        warn(`${path}: the record at ${offset} cannot be read as it was written, and is passed over`)
      },
    )
    this.#backlog = new Backlog({
      reader,
      lastSeq: recovered.lastSeq,
      through: progress.settledThrough,
      count: recovered.waiting - dropped.length,
      bytes: recovered.waitingBytes,
      dropped,
      onSettled: (through) => this.#settledThrough(through),
    })
    this.#backlog.passDropped()
    this.#admission = new Admission({
      mayBeKnown: (id) => this.#mayBeKnown(id),
      find: (id) => this.#find(id),
      fateOf: (message) => this.#fateOf(message),
      lackOfRoom: (size) => this.#lackOfRoom(size),
      makeRoom: (size) => this.#sweep(size),
      enqueue: (message, size) => this.#enqueue(message, size),
    })
    this.#sweepTimer = setInterval(() => void this.#sweep(0), SWEEP_INTERVAL)
    this.#sweepTimer.unref()
  }

  // --- Coming in ------------------------------------------------------------------------------------------------

  append(message: NewMessage): Promise<AppendOutcome> {
    return this.#admission.admit(message, false)
  }

  #mayBeKnown(id: string): boolean {
    if (this.#parked.find(id) !== null) return true
    const hash = hashId(id)
    return this.#segments.some(({ index }) => index.find(hash).length > 0)
  }

  #enqueue(message: NewMessage, size: number): Promise<AppendOutcome> {
    this.#pendingCount++
    this.#pendingBytes += size
    return new Promise((answer) => this.#commits.add({ type: 'message', message, size, answer }))
  }

  #lackOfRoom(size: number): string | null {
    const { maxMessages, maxBytes } = this.#limits
    if (this.#backlog.count + this.#pendingCount >= maxMessages)
      return `${maxMessages} messages wait, as many as may (maxMessages)`
    if (this.#bytes + this.#pendingBytes + size > maxBytes)
      return `the spool has ${this.#bytes} of ${maxBytes} bytes (maxBytes)`
    return null
  }

  get #bytes(): number {
    let sum = this.#parked.bytes
    for (const { end } of this.#segments) sum += end
    return sum
  }

  async #commit(batch: Item[]): Promise<void> {
    // Somebody else may have the lease by now, and write.
    if (this.#isClosed) return this.#refuseAll(batch, CLOSED)
    const acceptedAt = this.#clock()
    const { salt } = this.#progress
    const first = this.#backlog.lastSeq + 1
    const spooled: SpooledMessage[] = []
    const pieces: Buffer[] = []
    for (const item of batch) {
      if (item.type === 'message') {
        const message = { ...item.message, seq: first + spooled.length, acceptedAt }
        spooled.push(message)
        pieces.push(encodeMessage(message, salt))
      } else pieces.push(encodeNote(item.kind, item.seq, acceptedAt, salt))
    }
    try {
      const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
      const { segment, offset } = await this.#writer.write(bytes, first)
      this.#written(segment, offset, batch, spooled, pieces)
      this.#refusing = null
    } catch (error) {
      this.#notWritten(batch, error)
    }
  }

  #written(
    segment: Segment,
    offset: number,
    batch: readonly Item[],
    spooled: readonly SpooledMessage[],
    pieces: readonly Buffer[],
  ): void {
    let at = offset
    let next = 0
    for (const [index, item] of batch.entries()) {
      const size = pieces[index]?.length ?? 0
      const message = item.type === 'message' ? spooled[next++] : undefined
      if (message !== undefined) {
        segment.noteMessage(message.seq, at, hashId(message.id))
      }
      at += size
      this.#answered(
        item,
        message === undefined ? null : { outcome: 'accepted', id: message.id, seq: message.seq },
      )
    }
    this.#backlog.add(spooled)
  }

  #answered(item: Item, outcome: AppendOutcome | null): void {
    if (item.type === 'note') return item.answer(null)
    this.#pendingCount--
    this.#pendingBytes -= item.size
    if (outcome === null) return
    if (outcome.outcome === 'accepted') this.#counts.accepted++
    item.answer(outcome)
  }

  #notWritten(batch: readonly Item[], error: unknown): void {
    const isFull = error instanceof WriteFailed && error.isFull
    const why = reasonOf(error)
    const refusal: Refusal = isFull
      ? { code: 'FORKSAFE_ERR_RELAY_DISK_FULL', message: `the disk is full (${why})`, retryAfter: 5 }
      : { code: 'FORKSAFE_ERR_RELAY_DISK', message: `the disk did not take it (${why})`, retryAfter: 5 }
    if (this.#refusing !== refusal.message) this.#warn(`nothing is accepted: ${refusal.message}`)
    this.#refusing = refusal.message
    this.#refuseAll(batch, refusal)
  }

  #refuseAll(batch: readonly Item[], refusal: Refusal): void {
    for (const item of batch) {
      if (item.type === 'note') item.answer(refusal)
      else this.#answered(item, refused(item.message, refusal))
    }
  }

  // --- Going out ------------------------------------------------------------------------------------------------

  take(limits: { count: number; bytes: number }): Promise<SpooledMessage[]> {
    return this.#backlog.take(limits)
  }

  onMore(listener: () => void): () => void {
    return this.#backlog.onMore(listener)
  }

  rewind(): void {
    this.#backlog.rewind()
  }

  settle(seq: number, settlement: Settlement): void {
    // Its successor sends it again.
    if (this.#isClosed) return
    const now = this.#clock()
    if (settlement.state === 'delivered') {
      this.#counts.delivered++
      this.#remembered.delivered(seq, settlement.receipt, now)
    } else if (settlement.state === 'expired') {
      this.#counts.expired++
      this.#remembered.note(seq, { state: 'expired', at: now, reason: null })
      this.#commits.add({ type: 'note', kind: 'expired', seq, answer: () => {} })
    } else this.#remembered.note(seq, { state: 'parked', at: now, reason: settlement.reason })
    this.#backlog.settle(seq)
  }

  #settledThrough(through: number): void {
    this.#remembered.settledThrough(through, this.#clock())
    this.#progressTimer ??= setTimeout(() => this.#keepProgress(), PROGRESS_DELAY)
    this.#progressTimer.unref()
  }

  #keepProgress(): void {
    if (this.#progressTimer !== null) clearTimeout(this.#progressTimer)
    this.#progressTimer = null
    try {
      this.#progress.write(this.#backlog.through)
    } catch (error) {
      this.#warn(`progress is not kept (${reasonOf(error)}): after a crash messages are sent again`)
    }
    void this.#sweep(0)
  }

  // --- Forgetting -----------------------------------------------------------------------------------------------

  /** Deletes segments that nobody needs; those whose messages are settled, too, while there is no room for `need` bytes. */
  #sweep(need: number): Promise<void> {
    this.#needed += need
    this.#sweeping ??= this.#deleteOldest().finally(() => {
      this.#sweeping = null
      this.#needed = 0
    })
    return this.#sweeping
  }

  async #deleteOldest(): Promise<void> {
    this.#remembered.forget(this.#clock())
    // Whoever asks in the same turn has said by now what is needed.
    await Promise.resolve()
    while (this.#segments.length > 1 && !this.#isClosed) {
      const [oldest] = this.#segments
      if (oldest === undefined || oldest.lastSeq > this.#progress.settledThrough) return
      const isForgotten = oldest.lastSeq <= this.#remembered.forgottenThrough
      const isInTheWay =
        this.#needed > 0 && this.#bytes + this.#pendingBytes + this.#needed > this.#limits.maxBytes
      if (!isForgotten && !isInTheWay) return
      try {
        await this.#files.remove(oldest.path)
      } catch (error) {
        return this.#warn(`${oldest.path} cannot be deleted: ${reasonOf(error)}`)
      }
      this.#segments.shift()
      await oldest.close()
    }
  }

  // --- Questions ------------------------------------------------------------------------------------------------

  async fate(id: string): Promise<Fate | null> {
    const known = await this.#find(id)
    return known === null ? null : this.#fateOf(known)
  }

  /** The last message of this id that is remembered. */
  async #find(id: string): Promise<SpooledMessage | null> {
    const hash = hashId(id)
    const parked = this.#parked.find(id)
    for (const segment of this.#segments.toReversed()) {
      for (const offset of segment.index.find(hash).reverse()) {
        const record = await segment.recordAt(offset)
        if (record === null) continue
        const message = messageOf(record.buffer, record.view)
        if (message.id !== id) continue
        const isRemembered = message.seq > this.#remembered.forgottenThrough || parked?.seq === message.seq
        return isRemembered ? message : this.#parked.get(id)
      }
    }
    return parked === null ? null : this.#parked.get(id)
  }

  #fateOf({ id, seq, acceptedAt }: SpooledMessage): Fate {
    const fate = (
      state: FateState,
      settledAt: number | null,
      reason: string | null = null,
      receipt: DeliveryReceipt | null = null,
    ): Fate => ({ id, state, seq, acceptedAt, settledAt, reason, receipt })
    const parked = this.#parked.find(id)
    if (parked?.seq === seq && seq <= this.#backlog.through)
      return fate('parked', parked.parkedAt, parked.reason)
    const note = this.#remembered.noteOf(seq)
    // Of one that was parked, and is not any more, an operator has disposed.
    if (note !== null) return fate(note.state === 'parked' ? 'dropped' : note.state, note.at, note.reason)
    if (seq > this.#backlog.through) return fate('queued', null)
    const delivered = this.#remembered.receiptOf(seq)
    return fate('delivered', delivered?.at ?? null, null, delivered?.receipt ?? null)
  }

  status(): SpoolStatus {
    return {
      queued: this.#backlog.count,
      queuedBytes: this.#backlog.bytes,
      oldestAt: this.#backlog.oldestAt,
      parked: this.#parked.count,
      bytes: this.#bytes,
      ...this.#counts,
      duplicates: this.#admission.duplicates,
      refusing: this.#isClosed ? CLOSED.message : this.#refusing,
    }
  }

  async list({ after = 0, limit }: { after?: number; limit: number }): Promise<SpooledMessage[]> {
    const reader = new MessageReader(() => this.#segments)
    const found: SpooledMessage[] = []
    let from = Math.max(after, this.#backlog.through) + 1
    while (found.length < limit) {
      const some = await reader.read(from, { count: limit - found.length, bytes: MAX_BATCH })
      const last = some.at(-1)
      if (last === undefined) break
      from = last.seq + 1
      found.push(...some.filter(({ seq }) => !this.#backlog.isDropped(seq)))
    }
    return found
  }

  // --- Dead letters, and what operators do ----------------------------------------------------------------------

  async park(message: SpooledMessage, reason: string): Promise<void> {
    await this.#parked.add(message, reason, this.#clock())
  }

  parked(): Promise<ParkedMessage[]> {
    return this.#parked.all()
  }

  async retry(id: string): Promise<AppendOutcome | false> {
    const parked = await this.#parked.get(id)
    if (parked === null) return false
    const { key, isBinary, body } = parked
    // Its time to live is over, or would be before long: who asks for it wants it sent.
    const outcome = await this.#admission.admit({ id, key, isBinary, body, expiresAt: null }, true)
    if (outcome.outcome === 'accepted') await this.#parked.remove(id)
    return outcome
  }

  async drop(id: string): Promise<boolean> {
    const parked = this.#parked.find(id)
    if (parked !== null) {
      if (!(await this.#parked.remove(id))) return false
      this.#rememberDropped(parked.seq)
      // A full disk keeps nobody from making room: without the note it counts as delivered after the next start.
      await this.#noteDropped(parked.seq).catch((error: unknown) => this.#warn(reasonOf(error)))
      return true
    }
    const message = await this.#find(id)
    if (message === null || message.seq <= this.#backlog.through || this.#backlog.isDropped(message.seq))
      return false
    const { seq } = message
    await this.#noteDropped(seq)
    // It may have arrived meanwhile.
    if (!this.#backlog.drop({ seq, size: messageSize(message) })) return false
    this.#rememberDropped(seq)
    return true
  }

  /** @throws what the disk answered. */
  async #noteDropped(seq: number): Promise<void> {
    const failed = await new Promise<Refusal | null>((answer) =>
      this.#commits.add({ type: 'note', kind: 'dropped', seq, answer }),
    )
    if (failed !== null) throw new Error(failed.message)
  }

  #rememberDropped(seq: number): void {
    this.#remembered.note(seq, { state: 'dropped', at: this.#clock(), reason: null })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#admission.close(CLOSED)
    clearInterval(this.#sweepTimer)
    await Promise.all([this.#commits.idle(), this.#sweeping])
    this.#keepProgress()
    await this.#progress.close()
    for (const segment of this.#segments) await segment.close()
  }
}

const CLOSED: Refusal = {
  code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE',
  message: 'the spool is closed: its process leaves',
  retryAfter: 1,
}
