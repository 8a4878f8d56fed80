// Writes to a log file that is rotated by size: api.log, api.log.1 (the newest full one), api.log.2 …
// By rotating-file-stream, which this is the only file to import, itself imported only where `logFile` is set. What it
// does not do is done here: it takes a short write for a whole one, gives up after an error, and does not see that its
// file was moved or removed by somebody else.

import { appendFileSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import type { WriteFailure, Writer } from './writer.js'

export interface RotatingFile {
  /** Absolute. */
  path: string
  /** Bytes at which it is rotated; what is written at once, at most a quarter of it or one line, may go beyond. */
  maxSize: number
  /** With the one that is written. */
  maxFiles: number
}

/** Only its user may read what a service says. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const MOST_AT_ONCE = 256 * 1024

/** No failure is final: a full disk gets room again, a folder comes back. */
export const rotatingWriter = (file: RotatingFile): Writer => {
  const opened = new OpenFile(file)
  return {
    name: `log file ${file.path}`,
    joins: Math.min(MOST_AT_ONCE, Math.floor(file.maxSize / 4)),
    write: (bytes, done) => void opened.write(bytes).then(done),
    writeSync: (bytes) => appendFileSync(file.path, bytes, { mode: FILE_MODE }),
    close: () => opened.close(),
  }
}

interface Place {
  dev: number
  ino: number
  size: number
}

class OpenFile {
  readonly #file: RotatingFile
  #stream: RotatingFileStream | null = null
  /** Where it writes. */
  #place: Place | null = null
  /** It is full and its rotation begins; what was given to it has been written before. */
  #isRotating = false
  #hasBeenOpen = false

  constructor(file: RotatingFile) {
    this.#file = file
  }

  async write(bytes: Buffer): Promise<WriteFailure | null> {
    let isGiven = false
    try {
      await this.#prepare()
      this.#isRotating = false
      isGiven = true
      await this.#append(bytes)
      const written = await this.#grownBy(bytes.length)
      if (written === bytes.length) return null
      throw Object.assign(new Error('ENOSPC: no space left on device, short write'), { written })
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      // Where the rotation failed, the bytes were written before it.
      const written = isGiven ? (this.#isRotating ? bytes.length : await this.#grownBy(bytes.length)) : 0
      await this.close()
      return { error, written, isFinal: false }
    }
  }

  async close(): Promise<void> {
    const stream = this.#stream
    this.#stream = null
    if (stream === null || stream.closed) return
    await new Promise<void>((resolve) => stream.once('close', resolve).destroy())
  }

  /** What is written to a file that has lost its name is lost without an error: it is opened anew. */
  async #prepare(): Promise<void> {
    const now = await placeOf(this.#file.path)
    const isElsewhere = now?.ino !== this.#place?.ino || now?.dev !== this.#place?.dev
    if (this.#stream !== null && isElsewhere) await this.close()
    if (this.#stream === null) await this.#open()
    else this.#place = now
  }

  async #open(): Promise<void> {
    const { path, maxSize, maxFiles } = this.#file
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
    // Of whoever wrote before and was killed: its last line gets its end. A line of ours goes on where it was cut.
    const isTorn = !this.#hasBeenOpen && (await endsWithinLine(path))
    const stream = createStream(path, { size: `${maxSize}B`, rotate: maxFiles - 1, mode: FILE_MODE })
    // It destroys itself after each error; the error also comes to whoever writes.
    await new Promise<void>((resolve, reject) => stream.once('open', () => resolve()).on('error', reject))
    stream.on('rotation', () => {
      this.#isRotating = true
    })
    this.#stream = stream
    if (isTorn) await this.#append(Buffer.from('\n'))
    this.#hasBeenOpen = true
    this.#place = await placeOf(path)
  }

  #append(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream?.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** How many bytes of those just given are on the disk; all of them if somebody else cut the file short meanwhile. */
  async #grownBy(given: number): Promise<number> {
    const { path } = this.#file
    const before = this.#place
    const now = await placeOf(this.#isRotating ? `${path}.1` : path)
    if (before === null || now === null || now.ino !== before.ino || now.size < before.size) return given
    return Math.min(now.size - before.size, given)
  }
}

const placeOf = (path: string): Promise<Place | null> => stat(path).catch(() => null)

const LINE_END = 10

const endsWithinLine = async (path: string): Promise<boolean> => {
  const handle = await open(path, 'r').catch(() => null)
  if (handle === null) return false
  try {
    const { size } = await handle.stat()
    if (size === 0) return false
    const last = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    return last.buffer[0] !== LINE_END
  } finally {
    await handle.close()
  }
}
