// Where a command writes: results to stdout, complaints to stderr. Knows whether a person looks at it and whether the
// reader is still there; what is written is made in src/cli/render.

import picocolors from 'picocolors'
import { printable } from '../shared/printable.js'

export type Colors = ReturnType<typeof picocolors.createColors>

export interface Terminal {
  write(text: string): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  isTTY?: boolean
  readonly writableLength?: number
  columns?: number
  rows?: number
}

/** In bytes. */
const MAX_WAITING = 1024 * 1024
const DEFAULT_SIZE = { columns: 80, rows: 24 }

export class Screen {
  /** A terminal that can be redrawn. */
  readonly isLive: boolean
  readonly colors: Colors
  /** Aborted when the reader of stdout is gone. */
  readonly closed: AbortSignal
  readonly #stdout: Terminal
  readonly #stderr: Terminal

  constructor(stdout: Terminal, stderr: Terminal, env: NodeJS.ProcessEnv) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.isLive = stdout.isTTY === true && env.TERM !== 'dumb'
    this.colors = picocolors.createColors(this.isLive && !env.NO_COLOR)
    const closing = new AbortController()
    this.closed = closing.signal
    // EPIPE and its like: the reader has seen enough. Whoever waits for an operation still gets its exit code.
    stdout.on('error', () => closing.abort())
    stderr.on('error', () => {})
  }

  get size(): { columns: number; rows: number } {
    const { columns, rows } = this.#stdout
    // Some terminals say 0 for a size that they do not know.
    return { columns: columns || DEFAULT_SIZE.columns, rows: rows || DEFAULT_SIZE.rows }
  }

  /** Whether more waits for the reader of stdout than should be kept for one that has stopped. */
  get isBehind(): boolean {
    return (this.#stdout.writableLength ?? 0) > MAX_WAITING
  }

  /** Writes as it is, to be used with text that is safe to show. */
  write(text: string): void {
    if (!this.closed.aborted) this.#stdout.write(text)
  }

  line(text: string): void {
    this.write(`${text}\n`)
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value))
  }

  /** One line on stderr, whatever the message holds. */
  complain(message: string): void {
    this.#stderr.write(`supervisor: ${printable(message)}\n`)
  }

  /** Help and usage, as it is. */
  writeError(text: string): void {
    this.#stderr.write(text)
  }
}
