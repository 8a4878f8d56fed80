// What `lsof -F` prints (lsof(8), "OUTPUT FOR OTHER PROGRAMS"): a field a line, a process begins with `p`, a file of it
// with `f`. Pure; who runs it is lsof-source.ts. lsof lists what processes hold: of sockets that nobody holds it says nothing.

import { printable } from '../shared/printable.js'
import type { Endpoint, HeldSocket, SocketRow, SocketState } from './socket-table.js'

/** Fields that are asked for: pid, parent, command, descriptor, type, device, inode, protocol, name, state. */
export const LSOF_FIELDS = 'pRcftdiPnT'

export interface LsofProcess {
  ppid: number
  command: string
  sockets: HeldSocket[]
}

interface LsofFile {
  fd: string
  type: string
  device: string
  inode: string
  protocol: string
  name: string
  state: string
}

/** Linux and the BSDs (macOS) write them differently. */
const TCP_STATES: ReadonlyMap<string, SocketState> = new Map([
  ['ESTABLISHED', 'established'],
  ['SYN_SENT', 'syn-sent'],
  ['SYN_RECV', 'syn-received'],
  ['SYN_RCDV', 'syn-received'],
  ['SYN_RECEIVED', 'syn-received'],
  ['FIN_WAIT1', 'fin-wait-1'],
  ['FIN_WAIT_1', 'fin-wait-1'],
  ['FIN_WAIT2', 'fin-wait-2'],
  ['FIN_WAIT_2', 'fin-wait-2'],
  ['TIME_WAIT', 'time-wait'],
  ['CLOSE_WAIT', 'close-wait'],
  ['LAST_ACK', 'last-ack'],
  ['LISTEN', 'listen'],
  ['CLOSING', 'closing'],
])

/** Reads fields one after the other; `processes` is complete after `end()`. */
export class LsofReader {
  readonly processes = new Map<number, LsofProcess>()
  #process: LsofProcess | null = null
  #file: LsofFile | null = null

  read(line: string): void {
    const value = line.slice(1)
    const file = this.#file
    switch (line[0]) {
      case 'p':
        this.end()
        this.#process = { ppid: 0, command: '', sockets: [] }
        this.processes.set(Number(value), this.#process)
        break
      case 'R':
        if (this.#process) this.#process.ppid = Number(value)
        break
      case 'c':
        if (this.#process) this.#process.command = printable(value)
        break
      case 'f':
        this.end()
        this.#file = { fd: value, type: '', device: '', inode: '', protocol: '', name: '', state: '' }
        break
      case 't':
        if (file) file.type = value
        break
      case 'd':
        if (file) file.device = value
        break
      case 'i':
        if (file) file.inode = value
        break
      case 'P':
        if (file) file.protocol = value
        break
      case 'n':
        if (file) file.name = value
        break
      case 'T':
        if (file && value.startsWith('ST=')) file.state = value.slice(3)
        break
    }
  }

  /** Takes what has been read of the last file. */
  end(): void {
    const [process, file] = [this.#process, this.#file]
    this.#file = null
    if (process === null || file === null) return
    const socket = heldSocket(file)
    if (socket !== null) process.sockets.push(socket)
  }
}

/** null for what is no socket, and no descriptor (`cwd`, `txt`, `mem`). */
const heldSocket = (file: LsofFile): HeldSocket | null => {
  const row = socketRow(file)
  return row === null || !/^\d+$/.test(file.fd) ? null : { ...row, fd: Number(file.fd) }
}

const socketRow = (file: LsofFile): SocketRow | null => {
  const inode = inodeOf(file)
  if (file.type === 'IPv4' || file.type === 'IPv6') return inetRow(file, inode)
  if (file.type === 'unix') return unixRow(file, inode)
  const isOther = file.type === 'sock'
  return isOther ? { inode, kind: 'other', state: 'close', local: null, remote: null, path: null } : null
}

const inetRow = ({ type, protocol, name, state }: LsofFile, inode: number): SocketRow => {
  const kind = protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'other'
  if (kind === 'other') return { inode, kind, state: 'close', local: null, remote: null, path: null }
  const [local = '', remote] = name.split('->')
  const peer = remote === undefined ? null : endpointOf(remote, type)
  const udpState = peer === null ? 'bound' : 'connected'
  return {
    inode,
    kind,
    state: kind === 'tcp' ? (TCP_STATES.get(state) ?? 'close') : udpState,
    local: endpointOf(local, type),
    remote: peer,
    path: null,
  }
}

/** `/path type=STREAM` on Linux; `->0x…` (the peer) for a socket without a name on macOS. */
const unixRow = ({ name, state }: LsofFile, inode: number): SocketRow => {
  const text = name.replace(/(^| )type=\w+$/, '').replace(/^->.*$/, '')
  const path = printable(text.startsWith('@') ? text.replace(/(?<=.)@+$/, '') : text)
  const isConnected = state === 'CONNECTED' || name.startsWith('->')
  return {
    inode,
    kind: 'unix',
    state: state === 'LISTEN' ? 'listen' : isConnected ? 'established' : 'unconnected',
    local: null,
    remote: null,
    path: path === '' ? null : path,
  }
}

/** `127.0.0.1:80`, `[::1]:80`, `*:80`. */
const endpointOf = (text: string, type: string): Endpoint => {
  const at = text.lastIndexOf(':')
  const host = text.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const any = type === 'IPv6' ? '::' : '0.0.0.0'
  const port = Number(text.slice(at + 1))
  return {
    address: host === '*' || host === '' ? any : host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, ''),
    port: Number.isInteger(port) ? port : 0,
  }
}

/** A prime below 2^53: what is two words apart stays two numbers. */
const MOST_INODE = 9_007_199_254_740_881n

/**
 * Linux: the inode, which for IP sockets stands where the device does. Elsewhere a socket has none, and the address of
 * the kernel's record stands for it: 64 bits, of which a number holds 53.
 */
const inodeOf = ({ inode, device }: LsofFile): number => {
  if (/^\d+$/.test(inode)) return Number(inode)
  return /^(0x[\da-f]+|\d+)$/.test(device) ? Number(BigInt(device) % MOST_INODE) : 0
}
