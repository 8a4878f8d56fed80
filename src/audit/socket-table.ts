// What the kernel says about sockets, in words: the types that everybody who reads or judges sockets shares, and who
// holds what at one moment. How it is read: take-snapshot.ts.

/** `other`: a socket of which the kernel tells no more than that it is there: of another family, or in no state yet or any more. */
export type SocketKind = 'tcp' | 'udp' | 'unix' | 'other'

/**
 * TCP: the states of RFC 9293 section 3.3.2, `close` for a socket in none of them. UDP: `bound` or `connected`. Unix:
 * `listen`, `established` or `unconnected`. Other: `close`.
 */
export type SocketState =
  | 'established'
  | 'syn-sent'
  | 'syn-received'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'time-wait'
  | 'close'
  | 'close-wait'
  | 'last-ack'
  | 'listen'
  | 'closing'
  | 'bound'
  | 'connected'
  | 'unconnected'

/** An address as `127.0.0.1` or `::1`; IPv4 in an IPv6 socket (`::ffff:127.0.0.1`) is shown as IPv4. */
export interface Endpoint {
  address: string
  port: number
}

/** `127.0.0.1:80`, `[::1]:80`; port 0 as `*`. */
export const showEndpoint = ({ address, port }: Endpoint): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port === 0 ? '*' : port}`

/** Stdin, stdout and stderr are at 0 to this: shared by whoever starts whom. */
export const LAST_STDIO = 2

export interface SocketRow {
  /** Two processes with the same inode hold the same socket. 0: no process holds it. */
  inode: number
  kind: SocketKind
  state: SocketState
  /** null for unix and other. */
  local: Endpoint | null
  /** null while there is no peer. */
  remote: Endpoint | null
  /** Unix: the path, `@name` for an abstract one, null for a socket without a name. */
  path: string | null
}

export interface HeldSocket extends SocketRow {
  fd: number
}

export interface ProcessSockets {
  pid: number
  /** Clock ticks after boot, as in src/shared/process-identity.ts; null where it cannot be known. */
  startTime: number | null
  ppid: number
  /** The command line, arguments joined by spaces, or the bare name where there is none. */
  command: string
  /** A socket that stands at two descriptors is there twice. In the order of descriptors. */
  sockets: HeldSocket[]
  /** Why its sockets could not be read (gone, no permission), else null. */
  problem: string | null
}

export interface Snapshot {
  /** ms since 1970. */
  takenAt: number
  source: 'proc' | 'lsof'
  processes: ProcessSockets[]
  /**
   * TCP sockets that no process holds, any more (`time-wait`, an orphaned `fin-wait-2`) or yet (waiting to be accepted), of
   * the network namespaces of these processes: whose they were is not known. Always empty from lsof, which lists what
   * processes hold.
   */
  unowned: SocketRow[]
}
