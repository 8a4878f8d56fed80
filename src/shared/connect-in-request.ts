// What the request guard of a worker says: a WebSocket, or another upgraded connection, that was dialled while a request
// was served. Types, bounds and the check of what a worker sent; the guard itself is src/worker/request-guard.ts.

/** What the request guard does with what it finds: says so, says so and rejects the connect, or is not there. */
export type RequestGuardMode = 'warn' | 'throw' | 'off'

/** One place of the code, with how often it dialled within requests. Part of the stable contract of `status --json`. */
export interface ConnectCount {
  /** `app/orders.js:12:5`, relative to the working folder; null: not known (wss: on Node 20). */
  at: string | null
  /** What was dialled, without user, password and query. */
  url: string
  /** The first request that did it, `GET /orders`. */
  request: string
  count: number
}

/** The first time that a place did it: for the log. */
export interface ConnectInRequest extends ConnectCount {
  /** Frames of the application, one a line, cut; empty where they are not known. */
  stack: string
  mode: Exclude<RequestGuardMode, 'off'>
}

/** Most places that a worker keeps apart; what comes after them is counted with none. */
export const MAX_CONNECT_SITES = 50
/** Longest stack of a report, in characters. */
export const MAX_CONNECT_STACK = 2_048
/** Longest of the other texts. */
export const MAX_CONNECT_TEXT = 512

export const isConnectInRequest = (value: unknown): value is ConnectInRequest =>
  isObject(value) &&
  isConnectCount(value) &&
  isText(value.stack, MAX_CONNECT_STACK) &&
  (value.mode === 'warn' || value.mode === 'throw')

export const isConnectCounts = (value: unknown): value is ConnectCount[] =>
  Array.isArray(value) && value.length <= MAX_CONNECT_SITES && value.every(isConnectCount)

const isConnectCount = (value: unknown): boolean =>
  isObject(value) &&
  (value.at === null || isText(value.at, MAX_CONNECT_TEXT)) &&
  isText(value.url, MAX_CONNECT_TEXT) &&
  isText(value.request, MAX_CONNECT_TEXT) &&
  typeof value.count === 'number' &&
  Number.isSafeInteger(value.count) &&
  value.count >= 0

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown, limit: number): boolean => typeof value === 'string' && value.length <= limit
