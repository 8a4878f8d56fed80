// Writes to the last segment, begins a new one when it is full or the disk has failed it, and tells when bytes are on disk.
// One write at a time; who gathers what is written together is group-commit.ts.

import { errnoOf } from '../../shared/config-file.js'
import { messageOf } from '../../shared/errors.js'
import { Segment, segmentPath } from './segment.js'
import { encodeHeader, HEADER_SIZE } from './segment-header.js'
import type { SpoolFiles } from './spool-files.js'

/** Up to here a write goes out at once; another thread would take longer. */
const AT_ONCE = 64 * 1024

const FULL: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** It is not on disk, and will not come back from there. */
export class WriteFailed extends Error {
  override readonly name = 'WriteFailed'
  readonly isFull: boolean

  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
    this.isFull = FULL.includes(errnoOf(cause))
  }
}

export class SegmentWriter {
  readonly #files: SpoolFiles
  readonly #folder: string
  readonly #size: number
  readonly #salt: number
  readonly #onBegun: (segment: Segment) => void
  readonly #warn: (text: string) => void
  /** The last segment that was begun; its `end` is up to where it counts. */
  #last: Segment | null
  #isUsable: boolean
  #number: number

  constructor(options: {
    files: SpoolFiles
    folder: string
    /** Bytes after which a segment is full. */
    size: number
    salt: number
    last: Segment | null
    isLastWhole: boolean
    lastNumber: number
    onBegun: (segment: Segment) => void
    warn: (text: string) => void
  }) {
    this.#files = options.files
    this.#folder = options.folder
    this.#size = options.size
    this.#salt = options.salt
    this.#last = options.last
    this.#isUsable = options.last !== null && options.isLastWhole
    this.#number = options.lastNumber
    this.#onBegun = options.onBegun
    this.#warn = options.warn
  }

  /**
   * Settles when they are on disk.
   *
   * @param firstSeq the smallest seq that is in them or comes after them.
   * @returns where they are.
   * @throws WriteFailed: they count as never written.
   */
  async write(bytes: Buffer, firstSeq: number): Promise<{ segment: Segment; offset: number }> {
    const segment = await this.#segmentFor(bytes.length, firstSeq)
    const offset = segment.end
    try {
      if (bytes.length <= AT_ONCE) this.#files.writeNow(segment.fd, bytes, offset)
      else await this.#files.write(segment.fd, bytes, offset)
      await this.#files.sync(segment.fd)
    } catch (error) {
      const failed = new WriteFailed(error)
      await this.#takeBack(segment, failed, firstSeq)
      throw failed
    }
    segment.end = offset + bytes.length
    return { segment, offset }
  }

  async #segmentFor(length: number, firstSeq: number): Promise<Segment> {
    const last = this.#last
    const hasRoom = last !== null && (last.end === HEADER_SIZE || last.end + length <= this.#size)
    if (last !== null && this.#isUsable && hasRoom) return last
    return this.#begin(firstSeq).catch((error: unknown) => {
      throw new WriteFailed(error)
    })
  }

  /**
   * After a failed fsync nobody knows what the disk has, and another one that succeeds proves nothing: the kernel has
   * forgotten what it could not write. So the segment ends where it was good, and the next one says so in its header. A full
   * disk is another matter: what did not fit was not written, and is cut off.
   */
  async #takeBack(segment: Segment, { isFull, message }: WriteFailed, nextSeq: number): Promise<void> {
    const isCut = await this.#files.truncate(segment.fd, segment.end).then(
      () => true,
      () => false,
    )
    if (isFull && isCut) return
    this.#isUsable = false
    this.#warn(`${segment.path}: ${message}; it ends at its last good byte, and a new segment is begun`)
    await this.#begin(nextSeq).catch(() => {})
  }

  async #begin(firstSeq: number): Promise<Segment> {
    const number = ++this.#number
    const path = segmentPath(this.#folder, number)
    const fd = await this.#files.open(path, 'create')
    try {
      const previousEnd = this.#last?.end ?? 0
      this.#files.writeNow(fd, encodeHeader({ number, firstSeq, previousEnd, salt: this.#salt }), 0)
      await this.#files.sync(fd)
      await this.#files.syncFolder(this.#folder)
    } catch (error) {
      await this.#files.close(fd).catch(() => {})
      await this.#files.remove(path).catch(() => {})
      throw error
    }
    const segment = new Segment(this.#files, this.#folder, fd, { number, firstSeq, salt: this.#salt })
    this.#last = segment
    this.#isUsable = true
    this.#onBegun(segment)
    return segment
  }
}
