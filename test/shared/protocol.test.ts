// Messages between primary and worker: a worker is not trusted, so whatever it sends is either well formed, none of
// ours, or called malformed; never an exception.

import fc from 'fast-check'
import t from 'tap'
import { toFrame, type WorkerMessage, type WorkerReport, workerMessageIn } from '../../src/shared/protocol.js'
import type { SocketOrigin } from '../../src/shared/socket-origins.js'

const client = {
  name: 'feed',
  identity: 'feed',
  state: 'open',
  role: 'own',
  epoch: 1,
  pending: 0,
  confirmed: 2,
  reconnects: 0,
} as const
const report: WorkerReport = {
  eventLoopDelayMs: 0.5,
  connections: 1,
  inFlight: 0,
  clients: [client],
  waitingFor: [],
}
const connect = { at: 'app/orders.js:12:5', url: 'wss://example.org/feed', request: 'GET /orders', count: 1 }
const origin: SocketOrigin = {
  host: 'api.example.com',
  port: 443,
  at: null,
  via: null,
  webSocket: true,
  client: { name: 'feed', epoch: 2 },
  inRequest: null,
  opened: 3,
  closed: 2,
  open: [{ localPort: 40_000, ageMs: 12.5 }],
}

const MESSAGES: WorkerMessage[] = [
  { type: 'hello', version: '1.2.3' },
  { type: 'ready', by: 'listening' },
  { type: 'listening', address: ':8080' },
  { type: 'signalled', signal: 'SIGTERM' },
  { type: 'report', id: 3, report },
  { type: 'report', id: null, report },
  { type: 'report', id: null, report: { ...report, requestGuard: [connect] } },
  { type: 'sockets', id: 4, sockets: [origin] },
  { type: 'connectInRequest', report: { ...connect, stack: 'at app/orders.js:12:5', mode: 'warn' } },
  { type: 'askBarrier', id: 1 },
  { type: 'askDial', id: 1, origin: 'wss://example.org:8443' },
  { type: 'withdrawDial', id: 1 },
  { type: 'drained', forced: { requests: 0, upgraded: 1, hooks: ['late'] } },
  { type: 'fault', text: 'Error: boom' },
  { type: 'secrets', values: ['long enough'] },
]

t.test('each message survives the channel', async (t) => {
  for (const message of MESSAGES) {
    t.same(workerMessageIn(JSON.parse(JSON.stringify(toFrame(message)))), message, message.type)
  }
})

t.test('messages of the application and of node:cluster are none of ours', async (t) => {
  for (const raw of [
    null,
    undefined,
    1,
    'ready',
    [],
    {},
    { cmd: 'NODE_CLUSTER', act: 'online' },
    { type: 'ready' },
  ]) {
    t.equal(workerMessageIn(raw), undefined)
  }
})

t.test('each field is checked', async (t) => {
  const wrong: [WorkerMessage['type'], Record<string, unknown>][] = [
    ['ready', { by: 'magic' }],
    ['listening', { address: 8080 }],
    ['listening', { address: 'x'.repeat(2_000) }],
    ['signalled', {}],
    ['askBarrier', { id: 1.5 }],
    ['askDial', { id: '1', origin: 'ws://a' }],
    ['askDial', { id: 1 }],
    ['askDial', { id: 1, origin: 'x'.repeat(2_000) }],
    ['withdrawDial', { id: null }],
    ['drained', { forced: { requests: -1, upgraded: 0, hooks: [] } }],
    ['fault', { text: 'x'.repeat(10_000) }],
    ['secrets', { values: 'x'.repeat(10) }],
    ['secrets', { values: ['short'] }],
    ['secrets', { values: [123456] }],
    ['secrets', { values: ['x'.repeat(4_097)] }],
    ['secrets', { values: Array.from({ length: 101 }, () => 'long enough') }],
    ['report', { id: 1, report: { ...report, clients: Array.from({ length: 1_001 }, () => client) } }],
    ['report', { id: 1, report: { ...report, clients: [{ ...client, pending: 'many' }] } }],
    ['report', { id: 1, report: { ...report, eventLoopDelayMs: Number.NaN } }],
    ['report', { id: 1, report: { ...report, requestGuard: Array.from({ length: 51 }, () => connect) } }],
    ['report', { id: 1, report: { ...report, requestGuard: [{ ...connect, count: -1 }] } }],
    ['sockets', { id: 1, sockets: {} }],
    ['sockets', { id: null, sockets: [] }],
    ['sockets', { id: 1, sockets: Array.from({ length: 201 }, () => origin) }],
    ['sockets', { id: 1, sockets: [{ ...origin, port: 65_536 }] }],
    ['sockets', { id: 1, sockets: [{ ...origin, at: 'x'.repeat(2_000) }] }],
    ['sockets', { id: 1, sockets: [{ ...origin, client: { name: null, epoch: 1 } }] }],
    ['sockets', { id: 1, sockets: [{ ...origin, open: [{ localPort: 1 }] }] }],
    [
      'sockets',
      { id: 1, sockets: [origin, { ...origin, open: Array.from({ length: 20_000 }, () => origin.open[0]) }] },
    ],
    ['connectInRequest', {}],
    ['connectInRequest', { report: { ...connect, stack: '', mode: 'off' } }],
    ['connectInRequest', { report: { ...connect, stack: 'x'.repeat(3_000), mode: 'warn' } }],
    ['connectInRequest', { report: { ...connect, url: undefined, stack: '', mode: 'warn' } }],
  ]
  for (const [type, fields] of wrong) {
    t.equal(workerMessageIn({ cmd: 'NODE_FORKSAFE', message: { type, ...fields } }), 'malformed', type)
  }
  for (const message of [
    null,
    [],
    'hello',
    {},
    { type: 'toString' },
    { type: '__proto__' },
    { type: 'drain' },
  ]) {
    t.equal(workerMessageIn({ cmd: 'NODE_FORKSAFE', message }), 'malformed')
  }
})

t.test('no input whatever makes it throw', async (t) => {
  const types = [...MESSAGES.map(({ type }) => type), 'nonsense']
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.dictionary(fc.string(), fc.anything()),
      fc.anything(),
      (type, fields, any) => {
        workerMessageIn({ cmd: 'NODE_FORKSAFE', message: { ...fields, type } })
        workerMessageIn({ cmd: 'NODE_FORKSAFE', message: { type: 'report', id: any, report: any } })
        workerMessageIn(any)
      },
    ),
    { numRuns: 2_000 },
  )
  t.pass('2,000 inputs')
})
