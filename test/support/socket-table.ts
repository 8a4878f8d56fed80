// Which sockets a process has, from the kernel's own tables (Linux): the inodes behind its descriptors joined with
// /proc/PID/net. Descriptors 0-2 are left out: stdio is inherited on purpose, and a piped one is a unix socket.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface SocketRow {
  fd: number
  inode: number
  family: 'tcp' | 'unix' | 'other'
  /** Name of the TCP state (`ESTABLISHED`, `LISTEN`, …), `CONNECTED` or `UNCONNECTED` for unix sockets, else `UNKNOWN`. */
  state: string
  /** `address:port`, a path, or empty. */
  local: string
  remote: string
}

const LAST_STDIO_FD = 2

/** Every socket of a process above stdio; empty if the process is gone. */
export const socketsOf = (pid: number): SocketRow[] => {
  const known = new Map([...tcpTable(pid, 'tcp'), ...tcpTable(pid, 'tcp6'), ...unixTable(pid)])
  return socketDescriptors(pid).map(({ fd, inode }) => ({
    fd,
    inode,
    ...(known.get(inode) ?? { family: 'other', state: 'UNKNOWN', local: '', remote: '' }),
  }))
}

/** TCP sockets that are connected, or were and hang between states: everything but listeners and unconnected ones. */
export const connectedTcpSockets = (pid: number): SocketRow[] =>
  socketsOf(pid).filter(({ family, state }) => family === 'tcp' && state !== 'LISTEN' && state !== 'CLOSE')

/** TCP sockets of a process that are connected to a port, of whatever address. */
export const socketsTo = (pid: number, port: number): SocketRow[] =>
  connectedTcpSockets(pid).filter(({ remote }) => remote.endsWith(`:${port}`))

/** Ports on which a process itself listens. */
export const listeningTcpPorts = (pid: number): number[] =>
  socketsOf(pid)
    .filter(({ family, state }) => family === 'tcp' && state === 'LISTEN')
    .map(({ local }) => Number(local.slice(local.lastIndexOf(':') + 1)))

/** Sockets, of any family and state, whose inode both processes hold. */
export const sharedSockets = (one: number, other: number): SocketRow[] => {
  const inodes = new Set(socketDescriptors(other).map(({ inode }) => inode))
  return socketsOf(one).filter(({ inode }) => inodes.has(inode))
}

type Endpoint = Omit<SocketRow, 'fd' | 'inode'>

/** In the order of the kernel's include/net/tcp_states.h, from 1. */
const TCP_STATES =
  'ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING'.split(
    ' ',
  )
const UNIX_CONNECTED = '03'

const socketDescriptors = (pid: number): { fd: number; inode: number }[] =>
  namesIn(`/proc/${pid}/fd`).flatMap((name) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`))?.[1]
    return inode === undefined || Number(name) <= LAST_STDIO_FD
      ? []
      : [{ fd: Number(name), inode: Number(inode) }]
  })

const tcpTable = (pid: number, table: 'tcp' | 'tcp6'): [inode: number, Endpoint][] =>
  linesOf(`/proc/${pid}/net/${table}`).map((line) => {
    const [, local = '', remote = '', state = '', , , , , , inode] = line.trim().split(/\s+/)
    const name = TCP_STATES[Number.parseInt(state, 16) - 1] ?? 'UNKNOWN'
    return [Number(inode), { family: 'tcp', state: name, local: endpoint(local), remote: endpoint(remote) }]
  })

const unixTable = (pid: number): [inode: number, Endpoint][] =>
  linesOf(`/proc/${pid}/net/unix`).map((line) => {
    const [, , , , , state, inode, ...path] = line.trim().split(/\s+/)
    const name = state === UNIX_CONNECTED ? 'CONNECTED' : 'UNCONNECTED'
    return [Number(inode), { family: 'unix', state: name, local: path.join(' '), remote: '' }]
  })

/** `0100007F:1F90` is 127.0.0.1:8080: each 32-bit word is in the machine's (little endian) order. */
const endpoint = (hex: string): string => {
  const [address = '', port = ''] = hex.split(':')
  const words = address.match(/.{8}/g) ?? []
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse())
  return `${addressOf(bytes)}:${Number.parseInt(port, 16)}`
}

const addressOf = (bytes: string[]): string => {
  const lastFour = bytes.slice(-4).map((byte) => Number.parseInt(byte, 16))
  const isMapped = bytes.length === 16 && bytes.slice(0, 12).join('') === '00000000000000000000FFFF'
  if (bytes.length === 4 || isMapped) return lastFour.join('.')
  const groups = bytes.join('').toLowerCase().match(/.{4}/g) ?? []
  return `[${groups.map((group) => group.replace(/^0{1,3}/, '')).join(':')}]`
}

const linesOf = (file: string): string[] => {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1, -1)
  } catch {
    return []
  }
}

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const linkOf = (file: string): string => {
  try {
    return readlinkSync(file)
  } catch {
    return ''
  }
}
