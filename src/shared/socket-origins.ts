// What a worker says of the sockets that it opened: where in the code, to what, and whose they are.

/** Sockets that one place of the code opened to one endpoint. */
export interface SocketOrigin {
  /** As dialled (`api.example.com`, 443); null: not known. */
  host: string | null
  port: number
  /** Call site, `app/feed.js:12:5`, relative to the working folder; null: not known. */
  at: string | null
  /** An upgrade was seen on it. */
  webSocket: boolean
  /** A guarded client or protected resource. */
  client: { name: string; epoch: number } | null
  /** `GET /orders` where it was opened within a request. */
  inRequest: string | null
  /** Since the process started. */
  opened: number
  closed: number
  /** Those that are open. */
  open: { localPort: number; ageMs: number }[]
}

export type SocketOrigins = SocketOrigin[]
