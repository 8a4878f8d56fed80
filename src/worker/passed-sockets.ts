// Sockets that were handed to this process by `send(message, socket)` of the application in another one. What the primary
// hands over of its own, connections that its listeners accepted, comes as another type of message.

import type { EventEmitter } from 'node:events'
import { monotonicNow } from '../shared/clock.js'
import type { SocketOrigin } from '../shared/socket-origins.js'

/** How Node calls a `net.Socket` on its way. */
const SOCKET_MESSAGE = { cmd: 'NODE_HANDLE', type: 'net.Socket' }
/** Of more the oldest are forgotten, whether they are open or not. */
const MAX_PASSED = 50

interface Passed {
  host: string
  port: number
  localPort: number
  since: number
}

interface Address {
  address?: string
  port?: number
}

/** Of Node's own handle, as far as it is used. */
interface Handle {
  getsockname?(into: Address): number
  getpeername?(into: Address): number
}

export class PassedSockets {
  #passed: Passed[] = []
  /** What comes with one and the same local port from several peers came in at a listener: sticky sessions. */
  readonly #listened = new Set<number>()

  constructor() {
    const emitter: EventEmitter = process
    emitter.on('internalMessage', (message: unknown, handle: unknown) => {
      if (isSocketMessage(message)) this.#add(handle)
    })
  }

  /** One for each endpoint. Those that are closed since are among them: what is open the kernel says. */
  report(): SocketOrigin[] {
    const now = monotonicNow()
    const groups = new Map<string, SocketOrigin>()
    for (const { host, port, localPort, since } of this.#passed) {
      const key = `${host} ${port}`
      const group = groups.get(key) ?? originOf(host, port)
      groups.set(key, group)
      group.opened++
      group.open.push({ localPort, ageMs: now - since })
    }
    return [...groups.values()]
  }

  /** Before the message is delivered, when nobody can have closed it. */
  #add(raw: unknown): void {
    const handle = raw as Handle | undefined
    const [local, remote]: [Address, Address] = [{}, {}]
    // Of a socket that is gone already, and of one that is no TCP, there are none.
    if (handle?.getsockname?.(local) !== 0 || handle.getpeername?.(remote) !== 0) return
    if (local.port === undefined || remote.port === undefined || remote.address === undefined) return
    const host = remote.address.replace(/^::ffff:/, '')
    this.#remember({ host, port: remote.port, localPort: local.port, since: monotonicNow() })
  }

  #remember(passed: Passed): void {
    const { host, port, localPort } = passed
    if (this.#listened.has(localPort)) return
    const others = this.#passed.filter((other) => other.localPort !== localPort)
    const isListened = this.#passed.some(
      (other) => other.localPort === localPort && (other.port !== port || other.host !== host),
    )
    if (isListened) {
      this.#listened.add(localPort)
      this.#passed = others
    } else this.#passed = [...others, passed].slice(-MAX_PASSED)
  }
}

const isSocketMessage = (message: unknown): boolean => {
  if (typeof message !== 'object' || message === null) return false
  const { cmd, type } = message as Record<string, unknown>
  return cmd === SOCKET_MESSAGE.cmd && type === SOCKET_MESSAGE.type
}

const originOf = (host: string, port: number): SocketOrigin => ({
  host,
  port,
  at: null,
  via: null,
  webSocket: false,
  passed: true,
  client: null,
  inRequest: null,
  opened: 0,
  closed: 0,
  open: [],
})
