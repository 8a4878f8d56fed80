// A bounded queue of lines in front of a writer. A reader that is slow, a disk that is full, a reader that is gone: none
// of them blocks, crashes or swells the process. What does not fit is dropped and counted, and when lines flow again one
// of them says how many are missing, and why.

import type { WriteFailure, Writer } from './writer.js'

/** Most characters that may wait: more than all workers together can write in one turn of the loop, as a rule. */
export const MAX_WAITING = 4 * 1024 * 1024
/** Until a writer that failed is tried again, in ms. */
const RETRY_PAUSE = 1_000

export interface SinkOptions {
  writer: Writer
  /** The line that tells of a loss. */
  lossNotice: (count: number, reason: string) => string
  /** Told once when writing begins to fail, and not again before it has worked. */
  onFailing: (reason: string, isFinal: boolean) => void
  /** When a writer that failed is tried again. Default: after a second; it keeps no process alive. */
  later?: (retry: () => void) => void
}

const afterPause = (retry: () => void): void => void setTimeout(retry, RETRY_PAUSE).unref()

export class Sink {
  readonly #writer: Writer
  readonly #lossNotice: SinkOptions['lossNotice']
  readonly #onFailing: SinkOptions['onFailing']
  readonly #later: NonNullable<SinkOptions['later']>
  #queue: string[] = []
  /** Characters in the queue and on their way. */
  #waiting = 0
  /** What the writer has been given and not yet taken whole. */
  #taken: { bytes: Buffer; characters: number; lines: number } | null = null
  #isWriting = false
  #isPausing = false
  /** Why writing fails at present. */
  #failure: string | null = null
  #isGone = false
  #dropped = 0
  #unsaid = 0
  #unsaidReason = ''
  #whenIdle: (() => void)[] = []

  constructor({ writer, lossNotice, onFailing, later = afterPause }: SinkOptions) {
    this.#writer = writer
    this.#lossNotice = lossNotice
    this.#onFailing = onFailing
    this.#later = later
  }

  /** Lines that were not written and will not be. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes one line with its line end. Never throws and never waits. */
  write(line: string): void {
    if (this.#isGone || this.#waiting > MAX_WAITING) return this.#drop(1)
    this.#sayDropped()
    this.#enqueue(line)
    this.#next()
  }

  /** Settles when all lines are written, cannot be written at present, or `ms` have passed; then closes the writer. */
  async end(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const isOver = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
      this.#whenIdle.push(resolve)
      this.#tellIfIdle()
    })
    await isOver
    clearTimeout(timer)
    await this.#writer.close().catch(() => {})
  }

  /** For the 'exit' event: what waits is written where that is possible at once. */
  endSync(): void {
    if (this.#isGone || this.#writer.writeSync === undefined || this.#queue.length === 0) return
    try {
      this.#writer.writeSync(Buffer.from(this.#queue.join('')))
      this.#queue = []
    } catch {
      // There is nobody left to tell.
    }
  }

  #enqueue(line: string): void {
    this.#queue.push(line)
    this.#waiting += line.length
  }

  #drop(count: number): void {
    this.#dropped += count
    this.#unsaid += count
    this.#unsaidReason = this.#failure ?? 'its reader was too slow'
  }

  #sayDropped(): void {
    if (this.#unsaid === 0) return
    this.#enqueue(this.#lossNotice(this.#unsaid, this.#unsaidReason))
    this.#unsaid = 0
  }

  #next(): void {
    if (this.#isWriting || this.#isGone || this.#isPausing) return
    if (this.#queue.length === 0) this.#sayDropped()
    this.#taken ??= this.#join()
    if (this.#taken === null) return this.#tellIfIdle()
    this.#isWriting = true
    this.#writer.write(this.#taken.bytes, (failure) => {
      this.#isWriting = false
      if (failure === null) this.#wrote()
      else this.#failed(failure)
    })
  }

  /** As many of the oldest lines as the writer takes at once. */
  #join(): { bytes: Buffer; characters: number; lines: number } | null {
    if (this.#queue.length === 0) return null
    let [lines, characters] = [0, 0]
    do {
      characters += this.#queue[lines]?.length ?? 0
      lines++
    } while (
      lines < this.#queue.length &&
      characters + (this.#queue[lines]?.length ?? 0) <= this.#writer.joins
    )
    return { bytes: Buffer.from(this.#queue.splice(0, lines).join('')), characters, lines }
  }

  #wrote(): void {
    this.#waiting -= this.#taken?.characters ?? 0
    this.#taken = null
    this.#failure = null
    this.#next()
  }

  #failed({ error, written, isFinal }: WriteFailure): void {
    const reason = error.message
    const isNews = this.#failure === null
    this.#failure = reason
    if (isFinal) this.#gone(this.#taken?.lines ?? 0)
    else {
      this.#keepRest(written)
      this.#isPausing = true
      this.#later(() => {
        this.#isPausing = false
        this.#next()
      })
    }
    if (isNews) this.#onFailing(reason, isFinal)
    this.#tellIfIdle()
  }

  /** What was cut in the middle goes on where it was cut, so that no line is torn. */
  #keepRest(written: number): void {
    if (this.#taken === null || written === 0) return
    this.#taken.bytes = this.#taken.bytes.subarray(written)
    if (this.#taken.bytes.length > 0) return
    this.#waiting -= this.#taken.characters
    this.#taken = null
  }

  #gone(onTheWay: number): void {
    this.#isGone = true
    this.#drop(onTheWay + this.#queue.length)
    this.#queue = []
    this.#taken = null
    this.#waiting = 0
  }

  #tellIfIdle(): void {
    const isIdle = this.#queue.length === 0 && this.#taken === null
    if (!isIdle && !this.#isPausing && !this.#isGone) return
    for (const settle of this.#whenIdle.splice(0)) settle()
  }
}
