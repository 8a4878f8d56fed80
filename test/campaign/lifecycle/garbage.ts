// What nobody should write to a control socket, and hanging up in the middle. None of it may do anything.

import { createConnection } from 'node:net'

/** How long an answer is waited for before hanging up: a half request is answered late, or never. */
const PATIENCE = 400

const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`

export const GARBAGE: readonly { what: string; bytes: string | Buffer }[] = [
  { what: 'nothing', bytes: '' },
  { what: 'bytes', bytes: Buffer.from(Array.from({ length: 512 }, (_, index) => (index * 89) % 256)) },
  { what: 'half a request', bytes: 'POST /v1/stop HTTP/1.1\r\nhost: x\r\ncontent-le' },
  { what: 'half a body', bytes: 'POST /v1/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n{"now":' },
  { what: 'stop, not JSON', bytes: post('/v1/stop', '{now}') },
  { what: 'stop, wrong value', bytes: post('/v1/stop', '{"now":"yes"}') },
  { what: 'stop, unknown key', bytes: post('/v1/stop', '{"when":"now"}') },
  { what: 'a prototype key', bytes: post('/v1/reload', '{"__proto__":{"now":true}}') },
  { what: 'a wrong method', bytes: 'GET /v1/stop HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n' },
  { what: 'a wrong path', bytes: post('/v1/stop/now', '') },
  { what: 'a large head', bytes: `GET /v1/status HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(40_000)}\r\n\r\n` },
  { what: 'a large body', bytes: post('/v1/stop', ' '.repeat(70_000)) },
]

/** Writes it, waits a moment for what comes back, hangs up, and says how that begins. */
export const sendGarbage = (socketPath: string, bytes: string | Buffer): Promise<string> =>
  new Promise((resolve) => {
    const socket = createConnection(socketPath)
    let answer = ''
    const timer = setTimeout(() => socket.destroy(), PATIENCE)
    socket.setEncoding('utf8').on('data', (piece: string) => {
      answer += piece
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(answer.split('\r\n', 1)[0] || 'no answer')
    })
    if (bytes.length > 0) socket.write(bytes)
  })

/** A real request whose sender does not stay for the answer. */
export const askAndLeave = (socketPath: string, path: string): Promise<void> =>
  new Promise((resolve) => {
    const socket = createConnection(socketPath)
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume().write(post(path, '{}'), () => socket.destroy())
  })
