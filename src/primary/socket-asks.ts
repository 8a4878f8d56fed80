// Asks workers what they know of the sockets that they opened, and waits for no answer longer than it may.

import type { PrimaryMessage } from '../shared/protocol.js'
import type { SocketOrigins } from '../shared/socket-origins.js'

/** ms. A worker that is blocked for longer simply says nothing of its sockets. */
const PATIENCE = 500

export class SocketAsks {
  readonly #tell: (workerId: number, message: PrimaryMessage) => void
  readonly #asked = new Map<number, (sockets: SocketOrigins | null) => void>()
  #last = 0

  constructor(tell: (workerId: number, message: PrimaryMessage) => void) {
    this.#tell = tell
  }

  /** null: no answer in time. */
  ask(workerId: number): Promise<SocketOrigins | null> {
    const id = ++this.#last
    return new Promise((resolve) => {
      const settle = (sockets: SocketOrigins | null): void => {
        clearTimeout(timer)
        this.#asked.delete(id)
        resolve(sockets)
      }
      const timer = setTimeout(() => {
        // A turn of grace: where this process itself was blocked, the answer waits to be read.
        setImmediate(() => settle(null))
      }, PATIENCE)
      this.#asked.set(id, settle)
      this.#tell(workerId, { type: 'askSockets', id })
    })
  }

  answered(id: number, sockets: SocketOrigins): void {
    this.#asked.get(id)?.(sockets)
  }
}
