// What a process says of the sockets that it dialled itself: where to, from which place of the code, for whom. The kernel
// knows which sockets there are (src/audit); why they are there only the process knows. Types, bounds and the check of
// what a worker sent; who keeps the record is src/worker/socket-origins.ts.

/** Sockets that one place of the code opened to one endpoint. */
export interface SocketOrigin {
  /** As dialled, such as `api.example.com`; null: not known. */
  host: string | null
  port: number
  /** `app/feed.js:12:5`, relative to the working folder; null: not known. */
  at: string | null
  /**
   * Who dialled for that place: `http` for the pools of an HTTP client (agents, fetch), the name of a package (`pg`), or
   * null: the code itself, or it is not known.
   */
  via: string | null
  /** An upgrade to WebSocket was asked for on it. */
  webSocket: boolean
  /** Not dialled here: another process handed them over with `send(message, socket)`. */
  passed?: true
  /** The guarded client or protected resource that they belong to. */
  client: { name: string; epoch: number } | null
  /** `GET /orders` when they were opened within a request. */
  inRequest: string | null
  /** Since the process started. */
  opened: number
  closed: number
  /** Those that are open. */
  open: { localPort: number; ageMs: number }[]
}

export type SocketOrigins = SocketOrigin[]

/** Most groups of one answer: beyond it the ones with the fewest open sockets are left out. */
export const MAX_ORIGINS = 200
/** Most open sockets of one answer, of all groups together. */
export const MAX_ORIGIN_PORTS = 20_000
/** Longest text of any field. */
export const MAX_ORIGIN_TEXT = 1_024

/** Whether a worker, which is not trusted, sent what it should. */
export const isSocketOrigins = (value: unknown): value is SocketOrigins => {
  if (!Array.isArray(value) || value.length > MAX_ORIGINS || !value.every(isOrigin)) return false
  return value.reduce((sum, { open }) => sum + open.length, 0) <= MAX_ORIGIN_PORTS
}

const isOrigin = (value: unknown): value is SocketOrigin =>
  isObject(value) &&
  isTextOrNull(value.host) &&
  isPort(value.port) &&
  isTextOrNull(value.at) &&
  isTextOrNull(value.via) &&
  typeof value.webSocket === 'boolean' &&
  (value.passed === undefined || value.passed === true) &&
  (value.client === null || isClient(value.client)) &&
  isTextOrNull(value.inRequest) &&
  isCount(value.opened) &&
  isCount(value.closed) &&
  Array.isArray(value.open) &&
  value.open.length <= MAX_ORIGIN_PORTS &&
  value.open.every((one: unknown) => isObject(one) && isPort(one.localPort) && isCount(one.ageMs))

const isClient = (value: unknown): boolean =>
  isObject(value) && typeof value.name === 'string' && isTextOrNull(value.name) && isCount(value.epoch)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isTextOrNull = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && value.length <= MAX_ORIGIN_TEXT)
const isPort = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0
