// The settings of a relay, parsed and checked: what the option `relay` and the flags of `supervisor relay` become
// (src/shared/read-relay.ts). JSON all through, because the primary hands them to its relay workers.

/** One upstream, by the name that callers use. */
export interface RelayUpstream {
  /** Letters, digits, `.`, `_`, `-`: 1 to 64. */
  name: string
  /** `ws:` or `wss:`, without user and fragment. */
  url: string
  protocols: string[]
  headers: Record<string, string>
  /** PEM files, absolute. */
  tls: { ca?: string; cert?: string; key?: string; servername?: string }
  receipts: 'auto' | 'require' | 'off'
  /** What its connection is exclusive by, on this machine. Default: `relay NAME/CLIENT`. */
  identity: string
  maxMessages: number
  /** Bytes on disk. */
  maxBytes: number
  /** ms. */
  maxAge: number
  /** Largest message, in bytes. */
  maxMessage: number
  /** How often a message may be what a connection ended by, before it is parked. */
  maxAttempts: number
}

export type RelayListen =
  | { kind: 'unix'; path: string }
  /** Loopback alone; 0 is not allowed as a port. */
  | { kind: 'tcp'; host: string; port: number }

export interface RelaySettings {
  /** The supervisor's name: also of the default socket. */
  name: string
  workers: number
  listen: RelayListen[]
  /** Who may write to the unix socket beside the owner; null: the primary group of this user. */
  group: { name: string; gid: number } | null
  /** Absolute folder of all spools; each client has one below. */
  spool: string
  /** Read from a file at the start; TCP needs one. */
  token: string | null
  /** Open connections to one relay worker; more are answered 503. */
  maxConnections: number
  /** ms for which an id is remembered after its message was settled, and of how many messages at most. */
  dedupeWindow: number
  dedupeMessages: number
  /** ms that a request waits for an owner of the spool (a rolling restart, a crash) before it is refused. */
  ownerTimeout: number
  to: RelayUpstream[]
}

/** The variable by which the primary hands them to a relay worker, which deletes it. */
export const RELAY_VARIABLE = 'SUPERVISOR_RELAY'
