// Waits for messages to be settled by the owner in another process: one request for all of this process, which is made
// again at the next owner when it is cut. desk-watch.ts is the other end.

import { type ClientRequest, request } from 'node:http'
import { onLines } from './desk-watch.js'
import { DESK_PATHS, parsed } from './desk-wire.js'
import type { Fate } from './messages.js'
import { SettleWatch } from './settle-watch.js'

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 500
/** A fate with its reason. */
const LONGEST_LINE = 64 * 1024

export class FateStream {
  readonly #deskPath: string
  readonly #watch = new SettleWatch()
  #request: ClientRequest | null = null
  #wanted: string[] = []
  #retry: NodeJS.Timeout | null = null
  #pause = FIRST_PAUSE
  #isClosed = false

  constructor(deskPath: string) {
    this.#deskPath = deskPath
  }

  /** Calls back once, unless the returned function was called before. Null: its fate is not known any more. */
  wait(client: string, id: string, listener: (fate: Fate | null) => void): () => void {
    const isNew = !this.#watch.isAwaited(client, id)
    const forget = this.#watch.wait(client, id, listener)
    if (isNew) this.#want(client, id)
    return () => {
      forget()
      if (this.#watch.size === 0) this.#rest()
    }
  }

  close(): void {
    this.#isClosed = true
    this.#rest()
  }

  #want(client: string, id: string): void {
    if (this.#request === null) return this.#open()
    if (this.#wanted.push(`${JSON.stringify([client, id])}\n`) === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    const text = this.#wanted.join('')
    this.#wanted = []
    if (text !== '') this.#request?.write(text)
  }

  #open(): void {
    if (this.#request !== null || this.#retry !== null || this.#isClosed) return
    const outgoing = request({
      socketPath: this.#deskPath,
      agent: false,
      method: 'POST',
      path: DESK_PATHS.watch,
      headers: { 'content-type': 'application/x-ndjson' },
    })
    this.#request = outgoing
    outgoing.flushHeaders()
    this.#wanted = this.#watch.waiting().map(({ client, id }) => `${JSON.stringify([client, id])}\n`)
    this.#flush()
    outgoing.on('error', () => {})
    outgoing.on('close', () => this.#gone(outgoing))
    outgoing.on('response', (response) => {
      response.on('error', () => {})
      if (response.statusCode !== 200) return void outgoing.destroy()
      this.#pause = FIRST_PAUSE
      onLines(
        response,
        (line) => this.#told(line),
        () => outgoing.destroy(),
        LONGEST_LINE,
      )
      response.on('end', () => outgoing.destroy())
    })
  }

  #told(line: string): void {
    const told = parsed(line)
    if (!Array.isArray(told)) return
    const [client, id, fate] = told
    this.#watch.settled(String(client), String(id), fate ?? null)
    if (this.#watch.size === 0) this.#rest()
  }

  #gone(outgoing: ClientRequest): void {
    if (this.#request !== outgoing) return
    this.#request = null
    if (this.#watch.size === 0 || this.#isClosed) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.#open()
    }, this.#pause)
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE)
  }

  /** Nobody waits: no request stays open for nothing. */
  #rest(): void {
    const outgoing = this.#request
    this.#request = null
    this.#wanted = []
    outgoing?.destroy()
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
  }
}
