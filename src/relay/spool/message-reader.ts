// Reads messages out of the segments in order, a chunk at a time. Who needs them while they are still in memory has them
// from log-spool.ts.

import type { SpooledMessage } from '../messages.js'
import { findMagic, messageOf, viewRecord } from './record.js'
import type { Segment } from './segment.js'

const CHUNK = 256 * 1024

export class MessageReader {
  readonly #segments: () => readonly Segment[]
  readonly #onDamage: (segment: Segment, offset: number) => void
  #nextSeq = 0
  #segment: Segment | null = null
  #offset = 0

  constructor(
    segments: () => readonly Segment[],
    onDamage: (segment: Segment, offset: number) => void = () => {},
  ) {
    this.#segments = segments
    this.#onDamage = onDamage
  }

  /**
   * The next messages from `seq` on, in order; fewer when there are no more. One larger than `bytes` comes by itself.
   *
   * @throws what the disk answers.
   */
  async read(seq: number, { count, bytes }: { count: number; bytes: number }): Promise<SpooledMessage[]> {
    if (seq !== this.#nextSeq) this.#segment = null
    this.#nextSeq = seq
    const messages: SpooledMessage[] = []
    let left = bytes
    let length = CHUNK
    while (messages.length < count) {
      const segment = this.#find()
      if (segment === null) break
      const chunk = await segment.read(this.#offset, length)
      length = CHUNK
      let at = 0
      while (at < chunk.length) {
        const view = viewRecord(chunk, at, segment.salt)
        if (view === 'damaged') {
          at = this.#skip(segment, chunk, at)
          continue
        }
        if ('missing' in view) {
          length = Math.max(CHUNK, view.missing)
          break
        }
        if (view.kind === 'message' && view.seq >= this.#nextSeq) {
          if (messages.length === count) break
          const size = view.end - view.start
          if (messages.length > 0 && size > left) {
            this.#offset += at
            return messages
          }
          left -= size
          messages.push(messageOf(chunk, view))
          this.#nextSeq = view.seq + 1
        }
        at = view.end
      }
      // What is missing of a record in a file that has no more is damage as well.
      if (at === 0 && this.#offset + length > segment.end && chunk.length >= segment.end - this.#offset)
        at = this.#skip(segment, chunk, 0)
      this.#offset += at
    }
    return messages
  }

  /** The segment to read on in; null when all is read. */
  #find(): Segment | null {
    const current = this.#segment
    const segments = this.#segments()
    if (current !== null && this.#offset < current.end && segments.includes(current)) return current
    const next = segments.find(
      (segment) => segment.lastSeq >= this.#nextSeq && (current === null || segment.number > current.number),
    )
    if (next === undefined) return null
    this.#segment = next
    this.#offset = next.offsetBefore(this.#nextSeq)
    return next
  }

  #skip(segment: Segment, chunk: Buffer, at: number): number {
    const known = segment.endOfHole(this.#offset + at)
    if (known !== null) return Math.min(known - this.#offset, chunk.length)
    this.#onDamage(segment, this.#offset + at)
    const next = findMagic(chunk, at + 1)
    return next < 0 ? chunk.length : next
  }
}
