// The sockets that the primary dialled itself, and which of them its guarded clients and protected resources own: those are
// closed before each fork, any other is a finding. From which place of the code they came is not asked here; workers, which
// have the application's code, ask (src/worker/socket-origins.ts).

import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { monotonicNow } from '../shared/clock.js'
import {
  ownerOf,
  type RequestContext,
  type SocketOwner,
  setRequestContext,
} from '../shared/request-context.js'
import type { SocketOrigins } from '../shared/socket-origins.js'

interface Dialled {
  host: string | null
  port: number
  localPort: number
  openedAt: number
  owner: SocketOwner | null
}

const CHANNEL = 'net.client.socket'

export class OwnSockets {
  readonly #owners = new AsyncLocalStorage<SocketOwner | null>()
  readonly #open = new Map<Socket, Dialled>()
  readonly #listener = (message: unknown): void => {
    const { socket } = message as { socket?: unknown }
    if (socket instanceof Socket) this.#dialled(socket)
  }

  constructor() {
    const context: RequestContext = {
      // A primary serves no requests of an application.
      watch: () => {},
      current: () => null,
      outside: (owner, run) => this.#owners.run(owner, run),
    }
    setRequestContext(context)
    subscribe(CHANNEL, this.#listener)
  }

  report(): SocketOrigins {
    const now = monotonicNow()
    return [...this.#open].map(([socket, { host, port, localPort, openedAt, owner }]) => ({
      host,
      port,
      at: null,
      via: null,
      webSocket: false,
      client: owner ?? ownerOf(socket),
      inRequest: null,
      opened: 1,
      closed: 0,
      open: [{ localPort, ageMs: now - openedAt }],
    }))
  }

  end(): void {
    unsubscribe(CHANNEL, this.#listener)
  }

  #dialled(socket: Socket): void {
    const owner = this.#owners.getStore() ?? null
    let host: string | null = null
    socket.once('lookup', (_error: unknown, _address: unknown, _family: unknown, name: unknown) => {
      if (typeof name === 'string') host = name
    })
    socket.once('connect', () => {
      const { remotePort, localPort, remoteAddress } = socket
      if (remotePort === undefined || localPort === undefined) return
      host ??= remoteAddress ?? null
      this.#open.set(socket, { host, port: remotePort, localPort, openedAt: monotonicNow(), owner })
      socket.once('close', () => this.#open.delete(socket))
    })
  }
}
