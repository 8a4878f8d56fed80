// A recording upstream: a real WebSocket server that remembers how each of its connections ended.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'

export class Upstream {
  readonly closes: { code: number; reason: string }[] = []
  readonly #server: WebSocketServer
  opens = 0
  #watch: () => void = () => {}

  private constructor(server: WebSocketServer) {
    this.#server = server
    server.on('connection', (socket) => {
      this.opens++
      this.#watch()
      socket.on('close', (code, reason) => {
        this.closes.push({ code, reason: String(reason) })
        this.#watch()
      })
    })
  }

  static async start(t: Test): Promise<Upstream> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    t.teardown(() => {
      for (const client of server.clients) client.terminate()
      server.close()
    })
    return new Upstream(server)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Waits until `count` connections have been accepted. */
  opened(count: number): Promise<void> {
    return this.#until(`${count} accepted connections`, () => this.opens >= count)
  }

  /** Waits until `count` connections have ended. */
  closed(count: number): Promise<void> {
    return this.#until(`${count} ended connections`, () => this.closes.length >= count)
  }

  closeAll(): void {
    for (const client of this.#server.clients) client.close(1000)
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${what} within 15 s`)), 15_000)
        this.#watch = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
