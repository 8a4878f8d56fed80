// Which request of this process the running code belongs to: from its handler through timers and promises, by Node's own
// AsyncLocalStorage and diagnostics channel; no method of http is replaced. It judges nothing: who does is request-guard.ts.
//
// Keeping the context costs every request something (docs/audit.md), so it begins when something is there that could
// dial: a WebSocket library, a client of ours, any connection that the process dials. The first dial of
// all finds its request by the stack where the handler itself dials.

import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { readTrace, type Trace, takeTrace } from '../shared/call-site.js'
import type { RequestContext, SocketOwner } from '../shared/request-context.js'

/** No request itself: it would be kept alive by whatever was begun in it. */
export interface RequestMark {
  readonly method: string
  readonly url: string
  /** Its handler has said, by waitUntil(), that work outlives it. */
  isReleased: boolean
}

/** What is in the context: a request, what a client dials for, or nothing. */
type Scope = RequestMark | { readonly owner: SocketOwner } | null

export class RequestScope implements RequestContext {
  readonly #storage = new AsyncLocalStorage<Scope>()
  #isWatching = false
  #requests = 0
  /** While nothing is watched: the request that was last handed to its handler. */
  #last: RequestMark | null = null

  /** Begins; without it there are no requests, only owners. */
  follow({ atOnce }: { atOnce: boolean }): void {
    this.#isWatching = atOnce
    subscribe('http.server.request.start', this.#onRequest)
    this.#isFollowing = true
  }

  #isFollowing = false

  watch(): void {
    if (!this.#isFollowing) return
    this.#isWatching = true
    this.#last = null
  }

  /** The request that the running code belongs to, as far as it is watched. */
  get mark(): RequestMark | null {
    const scope = this.#storage.getStore()
    return scope == null || 'owner' in scope || scope.isReleased ? null : scope
  }

  /** For whom the running code dials. */
  get owner(): SocketOwner | null {
    const scope = this.#storage.getStore()
    return scope != null && 'owner' in scope ? scope.owner : null
  }

  /** To be called where something is dialled: the first time is when watching begins. */
  dialling(trace: Trace): RequestMark | null {
    if (this.#isWatching || !this.#isFollowing) return this.mark
    const last = this.#last
    this.watch()
    if (last === null || !readTrace(trace).isHandler) return null
    // For the rest of this request: its context is kept from here on.
    this.#storage.enterWith(last)
    return this.mark
  }

  /** The running request has been told that work outlives it: what that dials is no mistake. */
  release(): void {
    const scope = this.#isWatching ? this.#storage.getStore() : this.#last
    if (scope != null && 'isReleased' in scope) scope.isReleased = true
  }

  current(): string | null {
    const trace = takeTrace(this.current)
    const mark = this.dialling(trace)
    return mark === null || readTrace(trace).isModuleLevel ? null : describeRequest(mark)
  }

  outside<Result>(owner: SocketOwner | null, run: () => Result): Result {
    if (owner !== null) return this.#storage.run({ owner }, run)
    return this.#isWatching ? this.#storage.run(null, run) : run()
  }

  /** For every request that a worker answers. */
  readonly #onRequest = (message: unknown): void => {
    const { method = '', url = '' } = (message as { request: IncomingMessage }).request
    const mark = { method, url, isReleased: false }
    // Looked for ever more seldom: programs load their libraries at the start.
    if (!this.#isWatching && isPowerOfTwo(++this.#requests) && canOpenWebSockets()) this.watch()
    if (this.#isWatching) this.#storage.enterWith(mark)
    else this.#last = mark
  }
}

/** Longest path in `GET /orders`, in characters. */
const MAX_PATH = 200

/** Without the query, which may hold secrets. */
export const describeRequest = ({ method, url }: RequestMark): string =>
  `${method} ${(url.split('?', 1)[0] ?? '').slice(0, MAX_PATH)}`

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0

const LIBRARIES = /[\\/]node_modules[\\/](ws|undici|websocket|faye-websocket|websocket-driver)[\\/]/
const BUILT_IN = 'internal/deps/undici/undici'

const canOpenWebSockets = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => LIBRARIES.test(file)) || isBuiltInLoaded()

/** Node loads its own `WebSocket`, and `fetch`, when they are first used; not documented, so its absence is no error. */
const isBuiltInLoaded = (): boolean => {
  const list: unknown = Reflect.get(process, 'moduleLoadList')
  return Array.isArray(list) && list.some((name) => String(name).endsWith(BUILT_IN))
}
