// The servers of this process that listen, whatever library made them, and how they stop accepting.
// `listen` is observed and nothing else is changed. Their connections are connections.ts.

import { Server } from 'node:net'
import { isOwnServer } from '../shared/own-server.js'

export interface ListenerEvents {
  /** Once per server, before its first connection. */
  found(server: Server): void
  /** `address` as people write it: `:8080`, `127.0.0.1:8080`, `/path.sock`. */
  listening(address: string): void
}

export class Listeners {
  readonly #events: ListenerEvents
  readonly #servers = new Set<Server>()
  readonly #known = new WeakSet<Server>()
  readonly #restore: () => void
  #isRefusing = false

  constructor(events: ListenerEvents) {
    this.#events = events
    const found = (server: Server): void => this.#found(server)
    const original = Object.getOwnPropertyDescriptor(Server.prototype, 'listen')
    this.#restore = () => {
      if (original && Server.prototype.listen === listen) {
        Object.defineProperty(Server.prototype, 'listen', original)
      }
    }
    const observed = Server.prototype.listen
    function listen(this: Server, ...args: unknown[]): Server {
      found(this)
      return Reflect.apply(observed, this, args)
    }
    if (original) Object.defineProperty(Server.prototype, 'listen', { ...original, value: listen })
  }

  /**
   * Closes each listener and leaves the server otherwise as it is: its connections live, it still counts as
   * listening, and the application's own `server.close(callback)` later works as if it were the first.
   *
   * `http.Server#close` would drop idle keep-alive connections at once, and `net.Server#close` would make the
   * application's own call fail with ERR_SERVER_NOT_RUNNING and emit 'close' before its shutdown code has run; so the
   * handle is closed, which is all that either of them does to stop accepting.
   */
  refuse(): void {
    this.#isRefusing = true
    for (const server of this.#servers) closeHandle(server)
  }

  uninstall(): void {
    this.#restore()
  }

  #found(server: Server): void {
    if (isOwnServer(server)) return
    this.#servers.add(server)
    if (this.#known.has(server)) return
    this.#known.add(server)
    server.on('close', () => void this.#servers.delete(server))
    server.on('listening', () => {
      if (this.#isRefusing) closeHandle(server)
      else this.#events.listening(describeAddress(server))
    })
    this.#events.found(server)
  }
}

const closeHandle = (server: Server): void => {
  const handle: unknown = Reflect.get(server, '_handle')
  if (
    typeof handle === 'object' &&
    handle !== null &&
    'close' in handle &&
    typeof handle.close === 'function'
  ) {
    handle.close()
  }
}

const describeAddress = (server: Server): string => {
  const address = server.address()
  if (address === null) return 'unknown'
  if (typeof address === 'string') return address
  const { address: host, port, family } = address
  if (host === '::' || host === '0.0.0.0') return `:${port}`
  return family === 'IPv6' ? `[${host}]:${port}` : `${host}:${port}`
}
