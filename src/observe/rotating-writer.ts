// Writes to a log file that is rotated by size: api.log, api.log.1 (the newest full one), api.log.2 …
// By rotating-file-stream, which this is the only file to import, itself imported only where `logFile` is set. What it
// does not do is done here: it is opened anew after an error, and when its file was moved or removed by somebody else.

import { appendFileSync, type Stats, statSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import type { WriteFailure, Writer } from './writer.js'

export interface RotatingFile {
  /** Absolute. */
  path: string
  /** Bytes at which it is rotated; a file is larger by what its last line is. */
  maxSize: number
  /** With the one that is written. */
  maxFiles: number
}

/** How often it is looked whether the path still leads to the file that is open, in ms. */
const LOOK_INTERVAL = 1_000
/** Only its user may read what a service says. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export const rotatingWriter = (file: RotatingFile): Writer => {
  const opened = new OpenFile(file)
  return {
    name: `log file ${file.path}`,
    // Only so is it known of each line whether it was written.
    joins: 0,
    write: (bytes, done) => {
      opened.write(bytes).then(
        (lost) => done(null, lost),
        (failure: WriteFailure) => done(failure),
      )
    },
    writeSync: (bytes) => appendFileSync(file.path, bytes, { mode: FILE_MODE }),
    close: () => opened.close(),
  }
}

class OpenFile {
  readonly #file: RotatingFile
  #stream: RotatingFileStream | null = null
  #identity: Stats | undefined
  #lookedAt = 0
  #hasFailed = false
  /** Lines that a full disk cut short without an error. */
  #torn = 0
  /** Set while a line is written: it was, whatever becomes of the rotation after it. */
  #hasRotated = false

  constructor(file: RotatingFile) {
    this.#file = file
  }

  /** @returns how many earlier lines turned out to be lost. */
  async write(bytes: Buffer): Promise<number> {
    this.#hasRotated = false
    try {
      if (this.#stream !== null && (await this.#isElsewhere())) await this.close()
      if (this.#stream === null) await this.#open()
      await this.#append(bytes)
      return this.#torn
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      this.#hasFailed = true
      await this.close()
      const written = this.#hasRotated ? bytes.length : 0
      throw { error, written, isFinal: false } satisfies WriteFailure
    } finally {
      if (!this.#hasFailed) this.#torn = 0
    }
  }

  async close(): Promise<void> {
    const stream = this.#stream
    this.#stream = null
    if (stream === null || stream.closed) return
    await new Promise<void>((resolve) => stream.once('close', resolve).destroy())
  }

  /** A line that was cut short, by a failure of ours or the end of whoever wrote before, gets its end first. */
  async #open(): Promise<void> {
    const { path, maxSize, maxFiles } = this.#file
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
    const isTorn = await endsWithinLine(path)
    const stream = createStream(path, { size: `${maxSize}B`, rotate: maxFiles - 1, mode: FILE_MODE })
    // It destroys itself after each error; the error also comes to whoever writes.
    await new Promise<void>((resolve, reject) => stream.once('open', () => resolve()).on('error', reject))
    stream.on('rotation', () => {
      this.#hasRotated = true
    })
    stream.on('open', () => this.#remember())
    this.#stream = stream
    this.#remember()
    if (isTorn) await this.#append(Buffer.from('\n'))
    if (isTorn && this.#hasFailed) this.#torn++
    this.#hasFailed = false
  }

  #append(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream?.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  #remember(): void {
    this.#identity = statSync(this.#file.path, { throwIfNoEntry: false })
    this.#lookedAt = performance.now()
  }

  /** What is written to a file without a name is lost without an error. */
  async #isElsewhere(): Promise<boolean> {
    if (performance.now() - this.#lookedAt < LOOK_INTERVAL) return false
    this.#lookedAt = performance.now()
    const now = await stat(this.#file.path).catch(() => undefined)
    return now?.ino !== this.#identity?.ino || now?.dev !== this.#identity?.dev
  }
}

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
