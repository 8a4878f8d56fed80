// A response of one JSON object a line. A reader that is slow or gone costs a bounded amount of memory and no waiting:
// what it does not take is dropped and counted.

import type { ServerResponse } from 'node:http'
import type { LogStreamLine, OperationLine } from './wire.js'

/** Most bytes that may wait for a slow reader. */
const MAX_WAITING = 256 * 1024

export class LineResponse {
  readonly #response: ServerResponse
  readonly #alive: NodeJS.Timeout
  #dropped = 0

  /** Sends the head at once: the client then knows that somebody answers. */
  constructor(response: ServerResponse, aliveInterval: number) {
    this.#response = response
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    response.flushHeaders()
    this.#alive = setInterval(() => {
      if (response.writableLength === 0) this.#send({ event: 'alive' })
    }, aliveInterval)
    response.on('close', () => clearInterval(this.#alive))
  }

  /** `isBounded` says that the lines to come are few enough to wait in memory, all of them. */
  write(line: OperationLine | LogStreamLine, { isBounded = false } = {}): void {
    if (!isBounded && this.#response.writableLength > MAX_WAITING) {
      this.#dropped++
      return
    }
    this.#sayDropped()
    this.#send(line)
  }

  /** The last line is sent whatever waits before it. */
  end(line: OperationLine | LogStreamLine): void {
    clearInterval(this.#alive)
    if (this.#response.destroyed || this.#response.writableEnded) return
    this.#sayDropped()
    this.#send(line)
    this.#response.end()
  }

  #sayDropped(): void {
    if (this.#dropped === 0) return
    this.#send({ event: 'dropped', count: this.#dropped })
    this.#dropped = 0
  }

  #send(line: OperationLine | LogStreamLine): void {
    if (this.#response.destroyed || this.#response.writableEnded) return
    this.#response.write(`${JSON.stringify(line)}\n`)
  }
}
