// The last lines that supervisor and workers wrote, bounded, for `supervisor logs`; and who follows them.
// It keeps nothing on disk and writes nothing out: src/observe/output.ts does.

import type { LogLevel } from '../shared/log-level.js'

/** One line of output. `text` is raw: control characters are escaped by whoever shows it. */
export interface LogLine {
  /** Unix time in ms. */
  at: number
  source: 'supervisor' | 'worker'
  stream: 'stdout' | 'stderr'
  /** For lines of the supervisor. */
  level?: LogLevel
  /** For lines of the supervisor: the name of the event and its values, for programs. JSON. */
  fields?: Readonly<Record<string, unknown>>
  /** For lines of a worker. */
  slot?: number
  pid?: number
  generation?: number
  text: string
}

export interface LogBufferLimits {
  /** Most lines kept. */
  lines: number
  /** Most characters kept over all lines. */
  characters: number
}

const DEFAULT_LIMITS: LogBufferLimits = { lines: 1_000, characters: 1024 * 1024 }

/** A ring of lines with followers; a follower is called synchronously for each new line and must not throw. */
export class LogBuffer {
  readonly #limits: LogBufferLimits
  readonly #followers = new Set<(line: LogLine) => void>()
  #lines: LogLine[] = []
  #characters = 0

  constructor(limits: LogBufferLimits = DEFAULT_LIMITS) {
    this.#limits = limits
  }

  push(line: LogLine): void {
    this.#lines.push(line)
    this.#characters += line.text.length
    while (this.#lines.length > this.#limits.lines || this.#characters > this.#limits.characters) {
      const dropped = this.#lines.shift()
      if (dropped === undefined) break
      this.#characters -= dropped.text.length
    }
    for (const follower of this.#followers) follower(line)
  }

  /** The newest `count` lines, oldest first. */
  last(count: number): LogLine[] {
    return count <= 0 ? [] : this.#lines.slice(-count)
  }

  /** Calls `follower` for each line from now on; returns the function that stops it. */
  follow(follower: (line: LogLine) => void): () => void {
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }
}
