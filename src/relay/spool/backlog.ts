// What waits in a spool, in order: from where it is taken, what has been taken and not settled, how far all of it is settled.
// Messages that were just written are handed on from memory as long as the reader keeps up, else read from the segments.
// Nothing is written here; the log and what is remembered of it is log-spool.ts.

import type { SpooledMessage } from '../messages.js'
import type { MessageReader } from './message-reader.js'
import { messageSize } from './record.js'

/** Bytes of messages that are kept in memory for a reader that keeps up, and what one costs beside its body. */
const MAX_HOT = 4 * 1024 * 1024
const COST = 300
const costOf = ({ body }: SpooledMessage): number => body.length + COST

export interface BacklogStart {
  reader: MessageReader
  /** Largest seq that is on disk, and up to where all is settled. */
  lastSeq: number
  through: number
  /** Messages behind it, less those that were dropped, and their bytes. */
  count: number
  bytes: number
  /** Seqs of messages that were taken out while they waited. */
  dropped: Iterable<number>
  /** Told how far all is settled, whenever that is further. */
  onSettled: (through: number) => void
}

export class Backlog {
  readonly #reader: MessageReader
  readonly #onSettled: (through: number) => void
  #lastSeq: number
  #through: number
  #count: number
  #bytes: number
  readonly #dropped: Set<number>
  /** The next one that `take` gives. */
  #readSeq: number
  /** From `#readSeq` on, as long as the reader keeps up. */
  #hot: SpooledMessage[] = []
  #hotBytes = 0
  #isDry = true
  /** Given by `take` and not settled; `isGone`: dropped since. */
  #taken: { seq: number; size: number; acceptedAt: number; isGone: boolean }[] = []
  /** Those before it are settled. */
  #firstTaken = 0
  readonly #listeners = new Set<() => void>()

  constructor({ reader, lastSeq, through, count, bytes, dropped, onSettled }: BacklogStart) {
    this.#reader = reader
    this.#onSettled = onSettled
    this.#lastSeq = Math.max(lastSeq, through)
    this.#through = through
    this.#count = count
    this.#bytes = bytes
    this.#dropped = new Set(dropped)
    this.#readSeq = through + 1
  }

  /** Largest seq that is on disk. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** All up to here is settled. */
  get through(): number {
    return this.#through
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Unix time in ms at which the first one that waits was accepted; null where none waits that was looked at. */
  get oldestAt(): number | null {
    return this.#taken[this.#firstTaken]?.acceptedAt ?? this.#hot[0]?.acceptedAt ?? null
  }

  isDropped(seq: number): boolean {
    return this.#dropped.has(seq)
  }

  // --- Coming ---------------------------------------------------------------------------------------------------

  /** They are on disk, in this order, behind all others. */
  add(messages: readonly SpooledMessage[]): void {
    for (const message of messages) {
      const isNext = this.#readSeq + this.#hot.length === message.seq
      this.#lastSeq = message.seq
      this.#count++
      this.#bytes += messageSize(message)
      if (!isNext || this.#hotBytes >= MAX_HOT) continue
      this.#hot.push(message)
      this.#hotBytes += costOf(message)
    }
    if (messages.length === 0 || !this.#isDry) return
    this.#isDry = false
    for (const listener of this.#listeners) listener()
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // --- Going ----------------------------------------------------------------------------------------------------

  async take(limits: { count: number; bytes: number }): Promise<SpooledMessage[]> {
    const messages = this.#hot.length > 0 ? this.#takeHot(limits) : await this.#takeCold(limits)
    if (messages.length === 0 && this.#hot.length > 0) return this.take(limits)
    if (this.#firstTaken > this.#taken.length / 2) {
      this.#taken = this.#taken.slice(this.#firstTaken)
      this.#firstTaken = 0
    }
    for (const message of messages) {
      const { seq, acceptedAt } = message
      this.#taken.push({ seq, acceptedAt, size: messageSize(message), isGone: false })
    }
    // Some may have come since they were looked for.
    this.#isDry = messages.length === 0 && this.#readSeq > this.#lastSeq
    return messages
  }

  #takeHot({ count, bytes }: { count: number; bytes: number }): SpooledMessage[] {
    let size = 0
    let end = 0
    while (end < this.#hot.length && end < count) {
      const next = size + (this.#hot[end]?.body.length ?? 0)
      if (end > 0 && next > bytes) break
      size = next
      end++
    }
    const taken = this.#hot.slice(0, end)
    this.#hot = this.#hot.slice(end)
    this.#hotBytes -= size + end * COST
    this.#readSeq += end
    return taken.filter(({ seq }) => !this.#dropped.has(seq))
  }

  async #takeCold(limits: { count: number; bytes: number }): Promise<SpooledMessage[]> {
    while (this.#readSeq <= this.#lastSeq) {
      const from = this.#readSeq
      const messages = await this.#reader.read(from, limits)
      // Somebody has put it back, or dropped it, meanwhile.
      if (this.#readSeq !== from) continue
      const last = messages.at(-1)
      if (last === undefined) {
        // All that is left cannot be read.
        this.#readSeq = this.#lastSeq + 1
        break
      }
      this.#readSeq = last.seq + 1
      const wanted = messages.filter(({ seq }) => !this.#dropped.has(seq))
      if (wanted.length > 0) return wanted
    }
    return []
  }

  /** The next `take` begins at the first message that is not settled. */
  rewind(): void {
    this.#readSeq = this.#through + 1
    this.#forgetHot()
    this.#forgetTaken()
  }

  /** All that was taken up to `seq` is settled. */
  settle(seq: number): void {
    for (let taken = this.#taken[this.#firstTaken]; taken !== undefined && taken.seq <= seq; ) {
      if (!taken.isGone) {
        this.#count--
        this.#bytes -= taken.size
      }
      taken = this.#taken[++this.#firstTaken]
    }
    if (this.#firstTaken === this.#taken.length) this.#forgetTaken()
    this.#moveTo(seq)
    this.passDropped()
  }

  /** It waits no more; false: it has been settled before. */
  drop({ seq, size }: { seq: number; size: number }): boolean {
    if (seq <= this.#through) return false
    this.#dropped.add(seq)
    const taken = this.#taken.find((each) => each.seq === seq)
    if (taken !== undefined) taken.isGone = true
    this.#count--
    this.#bytes -= size
    this.passDropped()
    return true
  }

  /** What was taken out is settled as soon as all before it is. */
  passDropped(): void {
    let through = this.#through
    while (this.#dropped.delete(through + 1)) through++
    this.#moveTo(through)
  }

  #moveTo(through: number): void {
    if (through <= this.#through) return
    this.#through = through
    if (this.#readSeq <= through) {
      this.#readSeq = through + 1
      this.#hot = this.#hot.filter(({ seq }) => seq > through)
      this.#hotBytes = this.#hot.reduce((sum, message) => sum + costOf(message), 0)
    }
    this.#onSettled(through)
  }

  #forgetHot(): void {
    this.#hot = []
    this.#hotBytes = 0
  }

  #forgetTaken(): void {
    this.#taken = []
    this.#firstTaken = 0
  }
}
