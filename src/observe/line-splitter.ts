// Cuts a stream of bytes into lines, bounded: a line without an end, or a very long one, is handed out in pieces.
// What a piece could hide (a secret cut in two) is taken out before the cut, by whoever knows: `beforeCut`.

import { StringDecoder } from 'node:string_decoder'

/** Longest piece that is handed out as one line, in characters. */
export const MAX_LINE = 16 * 1024

export interface Cut {
  /** Most characters that `change` looks at together: so many are left behind each cut until more has come. */
  reach: number
  change: (text: string) => string
}

export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onLine: (line: string) => void
  readonly #beforeCut: Cut
  #rest = ''

  constructor(onLine: (line: string) => void, beforeCut: Cut = { reach: 0, change: (text) => text }) {
    this.#onLine = onLine
    this.#beforeCut = beforeCut
  }

  push(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk))
  }

  /** Hands out what stands without a line end. */
  end(): void {
    this.#take(this.#decoder.end())
    if (this.#rest !== '') this.#pieces(this.#rest)
    this.#rest = ''
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#pieces(line.endsWith('\r') ? line.slice(0, -1) : line)
    const { reach, change } = this.#beforeCut
    if (this.#rest.length <= MAX_LINE + reach) return
    this.#rest = change(this.#rest)
    while (this.#rest.length > MAX_LINE + reach) {
      this.#onLine(this.#rest.slice(0, MAX_LINE))
      this.#rest = this.#rest.slice(MAX_LINE)
    }
  }

  #pieces(line: string): void {
    if (line.length <= MAX_LINE) return this.#onLine(line)
    const whole = this.#beforeCut.change(line)
    for (let from = 0; from < whole.length; from += MAX_LINE) this.#onLine(whole.slice(from, from + MAX_LINE))
  }
}
