// Bytes to a unix socket and bytes back, as they are: for requests that no HTTP client would send.

import { createConnection, type Socket } from 'node:net'
import { withDeadline } from '../support/deadline.js'

/** Writes the pieces one after the other and settles with all that came back when the other side has ended. */
export const rawExchange = async (path: string, pieces: readonly (string | Buffer)[]): Promise<string> => {
  const socket = createConnection(path)
  const answer = textOf(socket)
  for (const piece of pieces) await write(socket, piece)
  return withDeadline(answer, { what: 'the connection to be ended' })
}

/** A connection that was opened and on which nothing was sent. */
export const openRaw = async (path: string): Promise<{ socket: Socket; answer: Promise<string> }> => {
  const socket = createConnection(path)
  const answer = textOf(socket)
  const connected = new Promise<void>((resolve) => socket.on('connect', resolve))
  await withDeadline(connected, { what: 'a connection' })
  return { socket, answer }
}

const textOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    // Gone before it had taken everything: what it answered counts.
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })

const write = (socket: Socket, piece: string | Buffer): Promise<void> =>
  new Promise((resolve) => {
    socket.write(piece, () => setImmediate(resolve))
  })

export const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${headers}\r\n`

export const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
