// What a supervised worker knows of the connections that it dials itself, put together: whose they are, where they were
// dialled, and which of them should not have been dialled there. And of those that it was handed.

import type { ConnectCount, ConnectInRequest, RequestGuardMode } from '../shared/connect-in-request.js'
import { setRequestContext } from '../shared/request-context.js'
import { MAX_ORIGINS, type SocketOrigins } from '../shared/socket-origins.js'
import { PassedSockets } from './passed-sockets.js'
import { RequestGuard } from './request-guard.js'
import { RequestScope } from './request-scope.js'
import { DialledSockets } from './socket-origins.js'

export class Outgoing {
  readonly #scope = new RequestScope()
  readonly #sockets = new DialledSockets(this.#scope)
  readonly #passed = new PassedSockets()
  readonly #guard: RequestGuard | null

  constructor(mode: RequestGuardMode, tell: (report: ConnectInRequest) => void) {
    setRequestContext(this.#scope)
    this.#guard =
      mode === 'off' ? null : new RequestGuard({ mode, scope: this.#scope, sockets: this.#sockets, tell })
  }

  sockets(): SocketOrigins {
    const passed = this.#passed.report()
    return [...this.#sockets.report().slice(0, MAX_ORIGINS - passed.length), ...passed]
  }

  connectsInRequests(): ConnectCount[] {
    return this.#guard?.counts() ?? []
  }

  /** The running request, if there is one, has given work to waitUntil(): what it dials from now on is no mistake. */
  outlivesRequest(): void {
    this.#scope.release()
  }
}
