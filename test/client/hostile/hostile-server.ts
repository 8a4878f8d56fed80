// A server on raw TCP, or TLS, that treats each client as its acts say (acts.ts) and writes down what the client sent.
// It does nothing of its own but accept and read.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { FrameReader, OPCODE, type ReadFrame } from './frames.js'

/** What a peer does, one after the other: an act that returns a promise holds up the next. */
export type Act = (peer: Peer) => unknown

/** The server's side of one connection. */
export class Peer {
  readonly socket: Socket
  /** The head of the request; never, if none comes. */
  readonly request: Promise<string>
  readonly frames: ReadFrame[] = []
  /** What is done about each frame that comes. */
  readonly reactions: ((frame: ReadFrame) => unknown)[] = []
  /** Whether our end of the TCP connection stays open when the client has ended its own. */
  isKeptOpen = false
  readonly #reader = new FrameReader()
  #head = ''
  #tellRequest: (head: string) => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    this.request = new Promise((resolve) => {
      this.#tellRequest = resolve
    })
    socket.on('error', () => {})
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('end', () => {
      if (!this.isKeptOpen) socket.end()
    })
  }

  /** The first frame of that kind, come already or yet to come. */
  frame(opcode: number): Promise<ReadFrame> {
    const known = this.frames.find((frame) => frame.opcode === opcode)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve) => {
      this.reactions.push((frame) => frame.opcode === opcode && resolve(frame))
    })
  }

  /** The code of each Close frame that the client sent. */
  get closeFrames(): ReadFrame[] {
    return this.frames.filter(({ opcode }) => opcode === OPCODE.close)
  }

  #read(chunk: Buffer): void {
    if (this.#head.endsWith(END_OF_HEAD)) return this.#readFrames(chunk)
    const read = this.#head + chunk.toString('latin1')
    const end = read.indexOf(END_OF_HEAD)
    this.#head = end === -1 ? read : read.slice(0, end + END_OF_HEAD.length)
    if (end === -1) return
    this.#tellRequest(this.#head)
    this.#readFrames(Buffer.from(read.slice(this.#head.length), 'latin1'))
  }

  #readFrames(chunk: Buffer): void {
    for (const frame of this.#reader.read(chunk)) {
      this.frames.push(frame)
      for (const react of this.reactions) react(frame)
    }
  }
}

export interface HostileServer {
  url: string
  port: number
  /** When each connection was accepted, in ms. */
  readonly accepts: number[]
  /** In the order in which they were accepted; with TLS, those whose handshake was done. */
  readonly peers: Peer[]
  stop(): Promise<void>
}

export const hostileServer = async (acts: readonly Act[], tls?: TlsOptions): Promise<HostileServer> => {
  const sockets = new Set<Socket>()
  const accepts: number[] = []
  const peers: Peer[] = []
  const begin = (socket: Socket): void => {
    const peer = new Peer(socket)
    peers.push(peer)
    void play(acts, peer)
  }
  const server: Server = tls
    ? createTlsServer({ ...tls, allowHalfOpen: true }, begin)
    : createServer({ allowHalfOpen: true }, begin)
  server.on('tlsClientError', () => {})
  server.on('connection', (socket: Socket) => {
    accepts.push(performance.now())
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls ? 'wss' : 'ws'}://127.0.0.1:${port}`,
    port,
    accepts,
    peers,
    stop: async () => {
      const closed = [server, ...sockets].map((end) => once(end, 'close'))
      server.close()
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

const play = async (acts: readonly Act[], peer: Peer): Promise<void> => {
  for (const act of acts) await act(peer)
}

const END_OF_HEAD = '\r\n\r\n'
