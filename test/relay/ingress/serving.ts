// An ingress before a recording door, for one test, on a unix socket or on the loopback; and bytes to it and back, as
// they are.

import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Ingress, type IngressLimits, serveIngress } from '../../../src/relay/ingress/serve-ingress.js'
import type { RelayListen, RelaySettings } from '../../../src/shared/relay-settings.js'
import { socketFolder } from '../../control/socket-folder.js'
import { withDeadline } from '../../support/deadline.js'
import { freePort } from '../../support/free-port.js'
import { RecordingDoor } from '../../support/recording-door.js'

export type Place = string | number

export interface Served {
  door: RecordingDoor
  ingress: Ingress
  place: Place
  log: string[]
}

export const TOKEN = 'a-token-of-the-tests-1'
export const MAX_MESSAGE = 4_096

export interface Serving {
  limits?: Partial<IngressLimits>
  settings?: Partial<RelaySettings>
}

export const settingsOf = (listen: RelayListen[], more: Partial<RelaySettings> = {}): RelaySettings => ({
  name: 'relay',
  workers: 1,
  listen,
  group: null,
  spool: '/nowhere',
  token: TOKEN,
  maxConnections: 64,
  dedupeWindow: 600_000,
  dedupeMessages: 100_000,
  ownerTimeout: 10_000,
  to: [
    {
      name: 'feed',
      url: 'ws://127.0.0.1:1/',
      protocols: [],
      headers: {},
      tls: {},
      receipts: 'auto',
      identity: 'relay/feed',
      maxMessages: 1_000,
      maxBytes: 1_000_000,
      maxAge: 1_000_000,
      maxMessage: MAX_MESSAGE,
      maxAttempts: 3,
    },
  ],
  ...more,
})

export const serveUnix = async (t: Test, serving: Serving = {}): Promise<Served & { place: string }> => {
  const path = join(socketFolder(t), 'relay.sock')
  return { ...(await serve(t, { kind: 'unix', path }, serving)), place: path }
}

export const serveTcp = async (t: Test, serving: Serving = {}): Promise<Served & { place: number }> => {
  const port = await freePort()
  return { ...(await serve(t, { kind: 'tcp', host: '127.0.0.1', port }, serving)), place: port }
}

const serve = async (
  t: Test,
  listen: RelayListen,
  { limits = {}, settings = {} }: Serving,
): Promise<Omit<Served, 'place'>> => {
  const door = new RecordingDoor()
  const log: string[] = []
  const ingress = await serveIngress({
    door,
    settings: settingsOf([listen], settings),
    log: (level, text) => void log.push(`${level} ${text}`),
    limits,
  })
  t.teardown(() => ingress.close())
  return { door, ingress, log }
}

export const connectTo = (place: Place): Socket =>
  typeof place === 'string' ? createConnection(place) : createConnection(place, '127.0.0.1')

export interface Raw {
  socket: Socket
  /** All that came back, when the connection is over. */
  answer: Promise<string>
  /** All that came back so far, once it is as wanted. */
  until: (wanted: (text: string) => boolean) => Promise<string>
}

export const openRaw = async (place: Place): Promise<Raw> => {
  const socket = connectTo(place)
  let text = ''
  const waiters = new Set<() => void>()
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
    for (const look of [...waiters]) look()
  })
  // Gone before it had taken everything: what it answered counts.
  socket.on('error', () => {})
  const answer = new Promise<string>((resolve) => socket.on('close', () => resolve(text)))
  const connected = new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  )
  await withDeadline(connected, { what: 'a connection' })
  const until = (wanted: (text: string) => boolean): Promise<string> =>
    withDeadline(
      new Promise<string>((resolve) => {
        const look = (): void => {
          if (!wanted(text)) return
          waiters.delete(look)
          resolve(text)
        }
        waiters.add(look)
        look()
      }),
      { what: 'an answer', last: () => text },
    )
  return { socket, answer, until }
}

/** Writes the pieces one after the other and settles with all that came back when the other side has ended. */
export const raw = async (place: Place, ...pieces: readonly (string | Buffer)[]): Promise<string> => {
  const { socket, answer } = await openRaw(place)
  for (const piece of pieces)
    await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)))
  return withDeadline(answer, { what: 'the connection to be ended' })
}

export const requestText = (
  line: string,
  headers: Readonly<Record<string, string | number>> = {},
  body = '',
): string => {
  const all: Record<string, string | number> = { host: 'localhost', connection: 'close', ...headers }
  if (body !== '' && !('content-length' in all) && !('transfer-encoding' in all))
    all['content-length'] = Buffer.byteLength(body)
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)

export const headerOf = (answer: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)\r$`, 'im').exec(`${answer.split('\r\n\r\n', 1)[0]}\r`)?.[1]

export const jsonOf = (answer: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1').toString('utf8'))
