// Whether code runs within a request that this process serves, and how code leaves it: what a client dials belongs to no
// request, whoever happened to ask first. The runtime of a supervised worker knows requests (src/worker/request-scope.ts)
// and puts itself here; without one there are none, and a plain script pays nothing.
// Under registered symbols, because the application may import another copy of the package than the runtime's.

import { AsyncResource } from 'node:async_hooks'

/** The guarded client or protected resource that a socket belongs to. */
export interface SocketOwner {
  name: string
  /** Number of the attempt, or opening, that it was dialled by. */
  epoch: number
}

export interface RequestContext {
  /** From now on requests are told apart: something is there that could dial within one. */
  watch(): void
  /** The request in whose handler, timers and promises this runs, `GET /orders`; null: in none, or at module level. */
  current(): string | null
  /** Runs `run` as belonging to no request; what it dials belongs to `owner`. */
  outside<Result>(owner: SocketOwner | null, run: () => Result): Result
}

const CONTEXT = Symbol.for('forksafe.request-context.v1')
const OWNERS = Symbol.for('forksafe.socket-owners.v1')

const holder = globalThis as { [CONTEXT]?: RequestContext; [OWNERS]?: WeakMap<object, SocketOwner> }

export const setRequestContext = (context: RequestContext): void => {
  holder[CONTEXT] = context
}

/** To be called by what makes clients, as soon as it is loaded. */
export const watchRequests = (): void => holder[CONTEXT]?.watch()

/** The request within which this runs; null where there is none, or nobody knows of requests. */
export const currentRequest = (): string | null => holder[CONTEXT]?.current() ?? null

/** For the async context of whoever else keeps one: a tracer, a framework. */
const neutral = new AsyncResource('forksafe')

export const outsideRequests = <Result>(owner: SocketOwner | null, run: () => Result): Result => {
  const context = holder[CONTEXT]
  return neutral.runInAsyncScope(() => (context === undefined ? run() : context.outside(owner, run)))
}

const owners = (): WeakMap<object, SocketOwner> => {
  holder[OWNERS] ??= new WeakMap()
  return holder[OWNERS]
}

/** Marks a socket that was dialled for a client. */
export const ownSocket = (socket: object, owner: SocketOwner): void => void owners().set(socket, owner)

export const ownerOf = (socket: object): SocketOwner | null => owners().get(socket) ?? null
