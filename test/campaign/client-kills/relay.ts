// The network between senders and server, of which everything can be asked that networks do: a TCP relay whose address
// stays while servers come and go behind it. What is done to it when, round.ts says.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Whose } from './plan.js'

export class Relay {
  readonly #server: Server
  readonly #connections = new Set<Relayed>()
  /** Where the server is; null: nowhere. */
  target: number | null = null
  isRefusing = false
  #port = 0

  private constructor() {
    this.#server = createServer((near) => this.#accept(near))
  }

  static async open(): Promise<Relay> {
    const relay = new Relay()
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    relay.#port = (relay.#server.address() as AddressInfo).port
    return relay
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/`
  }

  /** Those that are open now. */
  connections(whose: Whose): Relayed[] {
    const open = [...this.#connections]
    return whose === 'all' ? open : open.slice(whose, whose + 1)
  }

  close(): void {
    this.#server.close()
    for (const connection of this.#connections) connection.reset()
  }

  #accept(near: Socket): void {
    near.on('error', () => {})
    if (this.isRefusing || this.target === null) return void near.resetAndDestroy()
    const connection = new Relayed(near, connect(this.target, '127.0.0.1'), () =>
      this.#connections.delete(connection),
    )
    this.#connections.add(connection)
  }
}

class Relayed {
  readonly #near: Socket
  readonly #far: Socket
  /** What is held back in each direction; null: nothing is. */
  #held: { up: Buffer[]; down: Buffer[] } | null = null
  /** Bytes that may still go to the server. */
  #left = Number.POSITIVE_INFINITY

  constructor(near: Socket, far: Socket, onGone: () => void) {
    this.#near = near
    this.#far = far
    near.setNoDelay(true)
    far.setNoDelay(true)
    far.on('error', () => {})
    near.on('data', (chunk) => this.#up(chunk))
    far.on('data', (chunk) => this.#down(chunk))
    far.on('drain', () => near.resume())
    near.on('drain', () => far.resume())
    near.on('close', () => {
      if (this.#held === null) far.end()
      else this.#held.down = []
    })
    far.on('close', () => {
      onGone()
      near.destroy()
    })
  }

  reset(): void {
    this.#near.resetAndDestroy()
    this.#far.resetAndDestroy()
  }

  cutAfter(bytes: number): void {
    this.#left = Math.min(this.#left, bytes)
  }

  stall(): void {
    this.#held ??= { up: [], down: [] }
  }

  /** The end of a stall. */
  go(ending: 'flow' | 'reset' | 'late'): void {
    const held = this.#held
    if (held === null) return
    this.#held = null
    if (ending === 'reset') return this.reset()
    if (ending === 'late') this.#near.resetAndDestroy()
    for (const chunk of held.up) this.#up(chunk)
    if (ending === 'flow') for (const chunk of held.down) this.#down(chunk)
    if (this.#near.destroyed) this.#far.end()
  }

  #up(chunk: Buffer): void {
    if (this.#held !== null) return void this.#held.up.push(chunk)
    const part = chunk.subarray(0, this.#left)
    this.#left -= part.length
    if (this.#far.writable && !this.#far.write(part)) this.#near.pause()
    if (this.#left === 0) this.#endAbruptly()
  }

  #down(chunk: Buffer): void {
    if (this.#held !== null) return void this.#held.down.push(chunk)
    if (this.#near.writable && !this.#near.write(chunk)) this.#far.pause()
  }

  /** What went before still arrives; the client is told nothing but that it is over. */
  #endAbruptly(): void {
    this.#near.resetAndDestroy()
    this.#far.end()
  }
}
