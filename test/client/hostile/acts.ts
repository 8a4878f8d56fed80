// What a hostile peer can do, one deed each; a peer is a list of them (hostile-server.ts plays it). Reactions, such as
// answering pings, are set up and go on while later acts are played.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { close, closeCodeOf, OPCODE, pong, type ReadFrame } from './frames.js'
import type { Act, Peer } from './hostile-server.js'

/** Section 1.3 of RFC 6455. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const head = (status: string, headers: Readonly<Record<string, string>>): string =>
  [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join(
    '\r\n',
  )

// --- The upgrade ------------------------------------------------------------------------------------------------

/** Answers the request with something else than an upgrade, and ends the connection. */
export const answers =
  (status: string, headers: Readonly<Record<string, string>> = {}, body = ''): Act =>
  async ({ request, socket }) => {
    await request
    socket.end(head(status, { 'content-length': String(body.length), ...headers }) + body)
  }

/** Upgrades; `headers` are put over those of a right answer. */
export const upgrades =
  (headers: Readonly<Record<string, string>> = {}): Act =>
  async ({ request, socket }) => {
    const key = /^sec-websocket-key: (.*)\r$/im.exec(await request)?.[1] ?? ''
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64')
    const right = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': accept }
    socket.write(head('101 Switching Protocols', { ...right, ...headers }))
  }

/** Reads the request and does what follows instead of an answer. */
export const readsRequest: Act = ({ request }) => request

// --- Bytes ------------------------------------------------------------------------------------------------------

/** Writes as fast as the client takes it. */
export const sends =
  (...chunks: readonly (string | Buffer)[]): Act =>
  async ({ socket }) => {
    for (const chunk of chunks) if (!socket.write(chunk)) await once(socket, 'drain').catch(() => {})
  }

/** The same bytes again and again, as long as the connection lives. */
export const repeats =
  (bytes: string | Buffer, interval: number): Act =>
  ({ socket }) => {
    const timer = setInterval(() => socket.write(bytes), interval)
    socket.once('close', () => clearInterval(timer))
  }

export const stopsReading: Act = ({ socket }) => void socket.pause()

// --- Ends -------------------------------------------------------------------------------------------------------

export const resets: Act = ({ socket }) => void socket.resetAndDestroy()

/** FIN, and reads on. */
export const ends: Act = ({ socket }) => void socket.end()

/** Its end of TCP stays open, whatever the client does. */
export const keepsTcpOpen: Act = (peer) => {
  peer.isKeptOpen = true
}

/** Waits for the client's frame of that kind. */
export const waitsFor =
  (opcode: number): Act =>
  (peer) =>
    peer.frame(opcode)

// --- Reactions --------------------------------------------------------------------------------------------------

const onFrame = (peer: Peer, opcode: number, react: (frame: ReadFrame) => unknown): void => {
  peer.reactions.push((frame) => frame.opcode === opcode && react(frame))
}

/** As section 5.5.1 of RFC 6455 demands: the same code back, then the end of TCP. `after`: ms that it takes its time. */
export const answersClose =
  (after = 0): Act =>
  (peer) =>
    onFrame(peer, OPCODE.close, (frame) => {
      const answer = (): void => void peer.socket.end(close(closeCodeOf(frame)))
      if (after === 0) return answer()
      const timer = setTimeout(answer, after)
      peer.socket.once('close', () => clearTimeout(timer))
    })

/** @param answer what is written for the `nth` ping, counted from 1. Default: the pong that is due. */
export const answersPings =
  (answer: (payload: Buffer, nth: number) => readonly Buffer[] = (payload) => [pong(payload)]): Act =>
  (peer) => {
    let count = 0
    onFrame(peer, OPCODE.ping, ({ payload }) => {
      for (const bytes of answer(payload, ++count)) peer.socket.write(bytes)
    })
  }

/** The pong that is due, each so many ms late. */
export const answersPingsAfter =
  (ms: (nth: number) => number): Act =>
  (peer) => {
    let count = 0
    onFrame(peer, OPCODE.ping, ({ payload }) => {
      const timer = setTimeout(() => peer.socket.write(pong(payload)), ms(++count))
      peer.socket.once('close', () => clearTimeout(timer))
    })
  }

/** What a good server does, after which something else may go wrong. */
export const behaves: readonly Act[] = [answersPings(), answersClose(), upgrades()]
