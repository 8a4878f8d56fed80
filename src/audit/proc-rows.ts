// The text of the kernel's tables /proc/PID/net/{tcp,tcp6,udp,udp6,unix}, a line at a time. Pure; who reads the files is
// proc-source.ts.

import { endianness } from 'node:os'
import { printable } from '../shared/printable.js'
import type { Endpoint, SocketRow, SocketState } from './socket-table.js'

/** In the order of the kernel's include/net/tcp_states.h, from 1. A request that waits for its last ACK is told as SYN_RECV. */
const TCP_STATES: readonly SocketState[] = [
  'established',
  'syn-sent',
  'syn-received',
  'fin-wait-1',
  'fin-wait-2',
  'time-wait',
  'close',
  'close-wait',
  'last-ack',
  'listen',
  'closing',
]
const UDP_CONNECTED = 1
/** `__SO_ACCEPTCON` in include/linux/net.h. */
const UNIX_LISTENS = 0x10000
const UNIX_CONNECTED = 3
/** Each 32-bit word of an address is printed in the machine's own order. */
const IS_LITTLE_ENDIAN = endianness() === 'LE'

/** Up to the inode; what follows differs between kernels. */
const INET_ROW =
  /^ *\d+: ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+)/
const UNIX_ROW = /^[\da-f]+: [\dA-F]+ [\dA-F]+ ([\dA-F]{8}) [\dA-F]{4} ([\dA-F]{2}) +(\d+)(?: (.*))?$/s

/** Whether anybody wants to know more of a socket than its inode. Most rows of a machine are of others: they cost little. */
export type IsWanted = (inode: number) => boolean

/** A line of tcp, tcp6, udp or udp6; null for the heading, what cannot be read, and what is not wanted. */
export const parseInetRow = (line: string, kind: 'tcp' | 'udp', isWanted: IsWanted): SocketRow | null => {
  const [, localAddress, localPort, remoteAddress, remotePort, stateCode = '', inodeText] =
    INET_ROW.exec(line) ?? []
  const inode = Number(inodeText)
  if (localAddress === undefined || remoteAddress === undefined || !isWanted(inode)) return null
  const code = Number.parseInt(stateCode, 16)
  const remote = { address: addressOf(remoteAddress), port: portOf(remotePort) }
  const hasPeer = remote.port !== 0 || !/^0+$/.test(remoteAddress)
  return {
    inode,
    kind,
    state:
      kind === 'tcp' ? (TCP_STATES[code - 1] ?? 'close') : code === UDP_CONNECTED ? 'connected' : 'bound',
    local: { address: addressOf(localAddress), port: portOf(localPort) },
    remote: hasPeer ? remote : null,
    path: null,
  }
}

/** A line of unix; null as in {@link parseInetRow}. */
export const parseUnixRow = (line: string, isWanted: IsWanted): SocketRow | null => {
  const [, flags = '', stateCode = '', inodeText, path] = UNIX_ROW.exec(line) ?? []
  const inode = Number(inodeText)
  if (inodeText === undefined || !isWanted(inode)) return null
  const isListening = (Number.parseInt(flags, 16) & UNIX_LISTENS) !== 0
  const isConnected = Number.parseInt(stateCode, 16) === UNIX_CONNECTED
  return {
    inode,
    kind: 'unix',
    state: isListening ? 'listen' : isConnected ? 'established' : 'unconnected',
    local: null,
    remote: null,
    path: path === undefined || path === '' ? null : unixPath(path),
  }
}

/** A socket of which no table tells anything. */
export const otherRow = (inode: number): SocketRow => ({
  inode,
  kind: 'other',
  state: 'close',
  local: null,
  remote: null,
  path: null,
})

/** The line was read a byte a character. NUL is printed as `@`: an abstract name begins with one, and may be filled up with them. */
const unixPath = (bytes: string): string => {
  const text = Buffer.from(bytes, 'latin1').toString('utf8')
  return printable(text.startsWith('@') ? text.replace(/(?<=.)@+$/, '') : text)
}

const portOf = (hex = ''): Endpoint['port'] => Number.parseInt(hex, 16)

/** Few addresses, many rows. Emptied when it has grown. */
const known = new Map<string, string>()
const MOST_KNOWN = 1_000

/** `0100007F` as 127.0.0.1. */
const addressOf = (hex: string): string => {
  const before = known.get(hex)
  if (before !== undefined) return before
  if (known.size >= MOST_KNOWN) known.clear()
  const address = formatAddress(bytesOf(hex))
  known.set(hex, address)
  return address
}

const bytesOf = (hex: string): number[] => {
  const words = hex.match(/.{8}/g) ?? []
  return words.flatMap((word) => {
    const bytes = (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16))
    return IS_LITTLE_ENDIAN ? bytes.reverse() : bytes
  })
}

/** ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2. */
const isMapped = (bytes: readonly number[]): boolean =>
  bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff

const formatAddress = (bytes: readonly number[]): string => {
  if (bytes.length === 4) return bytes.join('.')
  if (isMapped(bytes)) return bytes.slice(12).join('.')
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0))
  return withoutZeros(groups.map((group) => group.toString(16)))
}

/** The longest row of two or more zeros becomes `::`, RFC 5952 section 4.2. */
const withoutZeros = (groups: readonly string[]): string => {
  const runs = [...groups.join(':').matchAll(/(?<![^:])0(?::0)+(?![^:])/g)]
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), '')
  if (longest === '') return groups.join(':')
  const text = groups.join(':')
  const at = runs.find(([run]) => run === longest)?.index ?? 0
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`
}
