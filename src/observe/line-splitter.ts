// Cuts a stream of bytes into lines, bounded: a line without an end is handed out in pieces.

import { StringDecoder } from 'node:string_decoder'

/** Longest piece that is handed out as one line, in characters. */
export const MAX_LINE = 16 * 1024

export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onLine: (line: string) => void
  #rest = ''

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  push(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk))
  }

  /** Hands out what stands without a line end. */
  end(): void {
    this.#take(this.#decoder.end())
    if (this.#rest !== '') this.#onLine(this.#rest)
    this.#rest = ''
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#pieces(line.endsWith('\r') ? line.slice(0, -1) : line)
    while (this.#rest.length > MAX_LINE) {
      this.#onLine(this.#rest.slice(0, MAX_LINE))
      this.#rest = this.#rest.slice(MAX_LINE)
    }
  }

  #pieces(line: string): void {
    if (line.length <= MAX_LINE) return this.#onLine(line)
    for (let from = 0; from < line.length; from += MAX_LINE) this.#onLine(line.slice(from, from + MAX_LINE))
  }
}
