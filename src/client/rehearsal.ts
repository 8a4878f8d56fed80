// One connection to ourselves, made once in a process that may have to take over an exclusive connection: the first one
// that a process makes takes ten times as long as any later one (Node loads and compiles what it has not used yet), and
// in a handover that time is a gap. Nothing of it leaves the process, nobody waits for it, and its failure is no matter.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { markAsOwn } from '../shared/own-server.js'
import { Attempt } from './attempt.js'
import { parseClientOptions } from './parse-client-options.js'

const BOUND = 5_000
/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const NONCE = 'rehearse'

let rehearsal: Promise<void> | undefined

/** Does it if it was not done before, in the background; settles when it is over, however it went. */
export const rehearseOnce = (): Promise<void> => {
  rehearsal ??= new Promise((resolve) => {
    setImmediate(() => void rehearse().then(resolve, () => resolve()))
  })
  return rehearsal
}

const rehearse = async (): Promise<void> => {
  const server = createServer(answerOnce)
  markAsOwn(server)
  server.on('error', () => {})
  server.unref()
  // `exclusive`: in a cluster worker the primary would otherwise listen.
  server.listen({ host: '127.0.0.1', port: 0, exclusive: true })
  await once(server, 'listening')
  await connectTo(server)
  server.close()
}

/** To open, one message, one ping answered, the close handshake: as much of a connection's life as it takes. */
const connectTo = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const options = parseClientOptions('rehearsal', {
      url: `ws://127.0.0.1:${port}/`,
      connectTimeout: BOUND,
      heartbeatInterval: 0,
    })
    const attempt = new Attempt(
      0,
      'rehearsal',
      options,
      {
        opened: () => {
          attempt.send('rehearsal', () => {})
          attempt.ping(NONCE)
          attempt.flush()
        },
        message: () => {},
        pong: () => attempt.close(1000),
        gone: () => resolve(),
      },
      { fencingToken: null },
    )
    attempt.dial()
  })

/** Just enough of a WebSocket server (RFC 6455 sections 4.2.2, 5.2) for a client that says what ours says. */
const answerOnce = (socket: Socket): void => {
  let head: string | null = ''
  socket.unref()
  socket.on('error', () => {})
  socket.setTimeout(BOUND, () => socket.destroy())
  socket.on('data', (chunk) => {
    if (head === null) return
    head += chunk.toString('latin1')
    if (!head.includes('\r\n\r\n')) return
    const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? ''
    head = null
    const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.write(frame(0x1, 'rehearsal'))
    // What comes in is not read: the ping is known, and its answer, and the Close frame behind it, go out ahead.
    setImmediate(() => {
      socket.write(frame(0xa, NONCE))
      socket.end(Buffer.from([0x88, 0x00]))
    })
  })
}

const frame = (opcode: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([0x80 | opcode, text.length]), Buffer.from(text)])
