// The option `relay` as it is written in a configuration file or for supervise(); docs/relay.md has meaning, bounds and
// defaults. What becomes of it: src/shared/relay-settings.ts.

import type { Duration } from './duration.js'
import type { Size } from './size.js'

export interface RelayOptions {
  /** Where to, by the names that callers use. */
  to: Readonly<Record<string, string | RelayUpstreamOptions>>
  /** `'unix:PATH'`, `'127.0.0.1:PORT'`, or several. Default: a unix socket by the supervisor's name. */
  listen?: string | readonly string[]
  /** Who may write to the unix socket beside this user: name or number of a group. */
  group?: string | number
  /** Folder in which messages are kept until they have arrived. */
  spool?: string
  /** File with the token that callers over TCP have to say. */
  tokenFile?: string
  /** Relay workers beside the app. Default 1. */
  workers?: number
  /** Open connections to one relay worker. Default 1024. */
  maxConnections?: number
  /** How long an id is remembered after its message was settled. Default 10 m. */
  dedupeWindow?: Duration
  /** Of how many messages at most. Default 100000. */
  dedupeMessages?: number
  /** How long a request waits for the process that keeps the messages. Default 10 s. */
  ownerTimeout?: Duration
}

export interface RelayUpstreamOptions {
  /** `ws:` or `wss:`, without user, password and fragment. */
  url: string
  protocols?: string | readonly string[]
  headers?: Readonly<Record<string, string>>
  /** File of lines `Name: value` that nobody else can read. */
  headerFile?: string
  /** PEM files. */
  tls?: { ca?: string; cert?: string; key?: string; servername?: string }
  receipts?: 'auto' | 'require' | 'off'
  /** What the connection is exclusive by, on this machine. Default `relay NAME/UPSTREAM`. */
  identity?: string
  /** Most messages that wait. Default 1000000. */
  maxMessages?: number
  /** Most bytes on disk. Default 1G. */
  maxBytes?: Size
  /** After which a message that could not be sent is parked. Default 24 h. */
  maxAge?: Duration
  /** Largest message. Default 1M. */
  maxMessage?: Size
  /** How often a connection may end with a message before that is parked. Default 3. */
  maxAttempts?: number
}
