// One file of the log, as its owner knows it: what is in it, where to begin to look for a message, and reading a piece of it.
// Who writes it is segment-writer.ts, who finds out what is in it after a start recover.ts.

import { join } from 'node:path'
import { IdIndex } from './id-index.js'
import { type RecordView, viewRecord } from './record.js'
import { HEADER_SIZE, type SegmentHeader } from './segment-header.js'
import type { SpoolFiles } from './spool-files.js'

export const segmentPath = (folder: string, number: number): string =>
  join(folder, `${String(number).padStart(10, '0')}.log`)

/** Null for any other file. */
export const segmentNumber = (name: string): number | null => {
  const match = /^(\d{10})\.log$/.exec(name)
  return match === null ? null : Number(match[1])
}

/** A mark for each so many messages: to find a seq, at most so many records are looked at. */
const MESSAGES_A_MARK = 256
const FIRST_READ = 4_096

export class Segment {
  readonly number: number
  readonly path: string
  readonly fd: number
  readonly firstSeq: number
  readonly salt: number
  readonly index = new IdIndex()
  /** Bytes that are on disk and count. */
  end = HEADER_SIZE
  /** Of its messages; one less than the first where there are none. */
  lastSeq: number
  readonly #files: SpoolFiles
  readonly #marks: { seq: number; offset: number }[] = []
  readonly #holes = new Map<number, number>()
  #count = 0
  #readers = 0
  #isClosed = false
  #whenUnread: (() => void) | null = null

  constructor(
    files: SpoolFiles,
    folder: string,
    fd: number,
    { number, firstSeq, salt }: Pick<SegmentHeader, 'number' | 'firstSeq' | 'salt'>,
  ) {
    this.#files = files
    this.number = number
    this.path = segmentPath(folder, number)
    this.fd = fd
    this.firstSeq = firstSeq
    this.salt = salt
    this.lastSeq = firstSeq - 1
  }

  /** Messages that are in it. */
  get count(): number {
    return this.#count
  }

  noteMessage(seq: number, offset: number, hash: number): void {
    if (this.#count % MESSAGES_A_MARK === 0) this.#marks.push({ seq, offset })
    this.#count++
    this.lastSeq = seq
    this.index.add(hash, offset)
  }

  /** Bytes that are known to be no record. */
  noteHole(from: number, to: number): void {
    this.#holes.set(from, to)
  }

  /** Where the hole ends that begins at an offset; null: none is known. */
  endOfHole(offset: number): number | null {
    return this.#holes.get(offset) ?? null
  }

  /** An offset at or before the record of `seq`, and the best there is. */
  offsetBefore(seq: number): number {
    let low = 0
    let high = this.#marks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#marks[middle]?.seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return this.#marks[low - 1]?.offset ?? HEADER_SIZE
  }

  /** Up to `length` bytes from `offset`, not beyond what counts; nothing once it is closed. */
  async read(offset: number, length: number): Promise<Buffer> {
    const size = this.#isClosed ? 0 : Math.max(0, Math.min(length, this.end - offset))
    const buffer = Buffer.allocUnsafe(size)
    if (size === 0) return buffer
    this.#readers++
    try {
      const count = await this.#files.read(this.fd, buffer, offset)
      return count === size ? buffer : buffer.subarray(0, count)
    } finally {
      this.#readers--
      if (this.#readers === 0) this.#whenUnread?.()
    }
  }

  /** The record at an offset that the index named; null where it cannot be read as it was written. */
  async recordAt(offset: number): Promise<{ buffer: Buffer; view: RecordView } | null> {
    let length = FIRST_READ
    for (;;) {
      const buffer = await this.read(offset, length)
      const view = viewRecord(buffer, 0, this.salt)
      if (view === 'damaged') return null
      if (!('missing' in view)) return { buffer, view }
      if (view.missing <= length || buffer.length < length) return null
      length = view.missing
    }
  }

  /** Behind whoever reads: a descriptor that is closed under a read may be another file's by then. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#readers > 0)
      await new Promise<void>((resolve) => {
        this.#whenUnread = resolve
      })
    await this.#files.close(this.fd)
  }
}
