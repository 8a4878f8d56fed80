// What a receipt says, and what becomes of messages whose connection ends: against real servers.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { eventually, withDeadline } from '../support/deadline.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { tcpRelay } from '../support/tcp-relay.js'
import { newClient } from './new-client.js'

const FATE_UNKNOWN = { code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN' }
const SLOW = { backoff: { min: '1m', max: '1m' } } as const

const server = async (t: Test, options: ConstructorParameters<typeof WebSocketServer>[0] = {}) => {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  await once(wss, 'listening')
  t.teardown(() => {
    for (const client of wss.clients) client.terminate()
    wss.close()
  })
  return Object.assign(wss, { url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}` })
}

/** Fails the test's process on no warning but the one that is expected here. */
const expectWarning = (t: Test): { warnings: string[] } => {
  const seen: { warnings: string[] } = { warnings: [] }
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  const listen = (warning: Error & { code?: string }): void =>
    void seen.warnings.push(warning.code ?? warning.name)
  process.on('warning', listen)
  t.teardown(() => {
    process.removeListener('warning', listen)
    for (const other of others) process.on('warning', other)
  })
  return seen
}

t.test('a receipt of level received means that the server has it', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url)
  const receipts = await Promise.all(['a', 'b', 'c'].map((text) => client.send(text)))
  t.same(upstream.messages, ['a', 'b', 'c'])
  for (const receipt of receipts) t.match(receipt, { level: 'received', epoch: 1, rtt: Number })
  t.match(client.stats(), { receipts: 'received', rtt: Number, confirmed: 3, pending: 0 })
})

t.test('no receipt of level received as long as the server does not read', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url, SLOW)
  await client.send('read')
  relay.connections[0]?.stallUpward()
  const unread = client.send('unread')
  const weak = await client.send('weak', { level: 'written' })
  t.equal(weak.level, 'written', 'the kernel took it')
  t.equal(client.stats().pending, 1)
  relay.connections[0]?.reset()
  await t.rejects(unread, FATE_UNKNOWN)
  t.same(upstream.messages, ['read'])
})

t.test('many messages are proved by few pings', async (t) => {
  const wss = await server(t)
  let pings = 0
  wss.on('connection', (socket) => socket.on('ping', () => pings++))
  const client = newClient(t, wss.url)
  await Promise.all(Array.from({ length: 5_000 }, (_, n) => client.send(String(n))))
  t.ok(pings >= 1 && pings < 500, `${pings} pings`)
})

t.test(
  'after a reset: resend brings everything in order, reject says that the fate is unknown',
  async (t) => {
    for (const onUnconfirmed of ['resend', 'reject'] as const) {
      const upstream = await recordingUpstream(t)
      const relay = await tcpRelay(t, upstream.url)
      const client = newClient(t, relay.url, { onUnconfirmed })
      await client.send('first')
      relay.connections[0]?.stallUpward()
      const sent = ['a', 'b', 'c'].map((text) => client.send(text))
      const settled = Promise.allSettled(sent)
      const lost = once(client, 'lost')
      await client.send('', { level: 'written' })
      relay.connections[0]?.reset()
      await lost
      const results = await settled
      if (onUnconfirmed === 'resend') {
        for (const result of results) t.match(result, { value: { level: 'received', epoch: 2 } })
        t.same(
          upstream.messages.filter((text) => text !== ''),
          ['first', 'a', 'b', 'c'],
        )
      } else {
        for (const result of results) t.match(result, { reason: FATE_UNKNOWN })
        t.same(upstream.messages, ['first'])
      }
      await client.close()
    }
  },
)

t.test('a peer that answers no pings: written, with one warning; a pong restores the rest', async (t) => {
  const { warnings } = expectWarning(t)
  const wss = await server(t, { autoPong: false })
  let ping: Buffer | undefined
  wss.on('connection', (socket) => socket.on('ping', (data) => (ping = data)))
  const client = newClient(t, wss.url, { heartbeatTimeout: 50 })
  const degraded = once(client, 'receiptsDegraded')
  const [weak, strict] = [client.send('weak'), client.send('strict', { level: 'received' })]
  strict.catch(() => {})
  t.match(await weak, { level: 'written' })
  await t.rejects(strict, FATE_UNKNOWN, 'it was written, and nothing more can be known')
  t.match(await degraded, [{ epoch: 2, reason: 'the peer answers no pings' }])
  await t.rejects(client.send('strict', { level: 'received' }), {
    code: 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
  })
  t.match(await client.send('weak'), { level: 'written' })
  t.equal(client.stats().receipts, 'written')
  t.same(warnings, ['FORKSAFE_WARN_RECEIPTS_DEGRADED'])

  const restored = once(client, 'receiptsRestored')
  for (const socket of wss.clients) {
    socket.on('ping', (data) => socket.pong(data))
    socket.pong(ping)
  }
  await restored
  t.match(await client.send('proved'), { level: 'received' })
})

t.test('a first connection that is half open is no peer that answers no pings', async (t) => {
  const { warnings } = expectWarning(t)
  for (const onUnconfirmed of ['resend', 'reject'] as const) {
    const upstream = await recordingUpstream(t)
    const relay = await tcpRelay(t, upstream.url)
    const client = newClient(t, relay.url, { onUnconfirmed, heartbeatTimeout: 50 })
    await client.connect()
    relay.connections[0]?.stall()
    const sent = client.send('hello')
    if (onUnconfirmed === 'resend') t.match(await sent, { level: 'received', epoch: 2 })
    else await t.rejects(sent, FATE_UNKNOWN)
    t.match(await client.send('again'), { level: 'received', epoch: 2 })
    t.match(client.stats(), { receipts: 'received', pending: 0 })
  }
  t.same(warnings, [])
})

t.test("receipts: 'require' sends nothing to a peer that cannot prove it, and refuses it", async (t) => {
  const wss = await server(t, { autoPong: false })
  const got: string[] = []
  wss.on('connection', (socket) => socket.on('message', (data) => got.push(String(data))))
  const client = newClient(t, wss.url, { heartbeatTimeout: 50, receipts: 'require' })
  const refused = once(client, 'refused')
  await t.rejects(client.send('a'), { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' })
  t.match(await refused, [{ error: { code: 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE' } }])
  t.equal(client.state, 'idle')
  await t.rejects(client.send('b'), { code: 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE' })
  t.same(got, [])
})

t.test("receipts: 'off' pings for nobody's receipt", async (t) => {
  const wss = await server(t)
  let pings = 0
  wss.on('connection', (socket) => socket.on('ping', () => pings++))
  const client = newClient(t, wss.url, { receipts: 'off', heartbeatInterval: 0 })
  t.match(await client.send('a'), { level: 'written' })
  await t.rejects(client.send('b', { level: 'received' }), {
    code: 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
  })
  await client.close()
  t.equal(pings, 0)
})

t.test('processed: by id, by a test of its own, or not in time', async (t) => {
  const wss = await server(t)
  wss.on('connection', (socket) =>
    socket.on('message', (data) => {
      const { id, isSilent } = JSON.parse(String(data)) as { id: number; isSilent?: boolean }
      if (!isSilent) socket.send(JSON.stringify({ ack: id }))
    }),
  )
  const client = newClient(t, wss.url, {
    receiptTimeout: 100,
    ackOf: (data) => (JSON.parse(String(data)) as { ack?: number }).ack,
  })
  const order = (id: number, extra = {}) => JSON.stringify({ id, ...extra })
  t.match(await client.send(order(1), { level: 'processed', id: 1 }), { level: 'processed' })
  const isAck = (data: string | Buffer): boolean => String(data) === '{"ack":2}'
  t.match(await client.send(order(2), { level: 'processed', isAck }), { level: 'processed' })
  await t.rejects(client.send(order(3, { isSilent: true }), { level: 'processed', id: 3 }), {
    ...FATE_UNKNOWN,
    message: /not acknowledged within 100 ms/,
  })
  await t.rejects(client.send('{}', { level: 'processed' }), {
    code: 'FORKSAFE_ERR_CLIENT_MESSAGE_INVALID',
    message: /needs isAck, or an id/,
  })
  t.equal(client.state, 'open', 'a missing acknowledgement is no broken connection')
})

t.test('a message that has expired is never written, and one that waits may be taken back', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url, { url: () => new Promise(() => {}), connectTimeout: '1m' })
  await t.rejects(client.send('late', { expiresAt: Date.now() + 20 }), {
    code: 'FORKSAFE_ERR_CLIENT_EXPIRED',
  })
  await t.rejects(client.send('past', { expiresAt: new Date(0) }), { code: 'FORKSAFE_ERR_CLIENT_EXPIRED' })
  await t.rejects(client.send('x', { expiresAt: new Date('nonsense') }), {
    code: 'FORKSAFE_ERR_CLIENT_MESSAGE_INVALID',
  })
  const reason = new Error('enough')
  const abort = new AbortController()
  const aborted = client.send('aborted', { signal: abort.signal })
  abort.abort(reason)
  await t.rejects(aborted, { code: 'FORKSAFE_ERR_CLIENT_ABORTED', cause: reason })
  t.match(client.stats(), { pending: 0, rejected: 3 })
})

t.test('an abort after the message was written cannot say that it was not sent', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url)
  await client.connect()
  relay.connections[0]?.stallUpward()
  const abort = new AbortController()
  const [aborted, late] = [client.send('a', { signal: abort.signal }), client.send('b', { timeout: 50 })]
  late.catch(() => {})
  await client.send('', { level: 'written' })
  abort.abort()
  await t.rejects(aborted, FATE_UNKNOWN)
  await t.rejects(late, { ...FATE_UNKNOWN, message: /not sent and proved within 50 ms/ })
})

t.test('a full outbox rejects, or lets its callers wait their turn', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url, { maxPending: { count: 2 } })
  await client.connect()
  relay.connections[0]?.stall()
  const [one, two] = [client.send('1'), client.send('2')]
  await t.rejects(client.send('no'), { code: 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL' })
  await t.rejects(client.send('no', { whenFull: 'wait', timeout: 20 }), {
    code: 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
    message: /no room in the outbox within 20 ms/,
  })
  const [three, four] = ['3', '4'].map((text) => client.send(text, { whenFull: 'wait' }))
  t.match(client.stats(), { accepted: 2, pending: 2, waitingForRoom: 2 })
  await t.rejects(client.send('no'), { code: 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL' }, 'nobody overtakes')
  relay.connections[0]?.flow()
  await withDeadline(Promise.all([one, two, three, four]), { what: 'all four receipts' })
  t.same(upstream.messages, ['1', '2', '3', '4'])
  t.match(client.stats(), { accepted: 4, confirmed: 4, waitingForRoom: 0 })
})

t.test('thousands that wait for room get it at once', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const count = 8_000
  const client = newClient(t, relay.url, { maxPending: { count }, whenFull: 'wait' })
  await client.connect()
  relay.connections[0]?.stall()
  const sent = Array.from({ length: 2 * count }, (_, n) => client.send(String(n)))
  t.equal(client.stats().waitingForRoom, count)
  relay.connections[0]?.flow()
  await withDeadline(Promise.all(sent), { what: 'every receipt', last: () => JSON.stringify(client.stats()) })
  t.same(
    upstream.messages,
    sent.map((_, n) => String(n)),
  )
})

t.test('one signal for thousands of calls', async (t) => {
  const { warnings } = expectWarning(t)
  const client = newClient(t, 'ws://127.0.0.1:1', { url: () => new Promise(() => {}) })
  const abort = new AbortController()
  const { signal } = abort
  const calls = Array.from({ length: 1_000 }, () => [
    client.send('x', { signal }),
    client.connect({ signal }),
  ])
  const settled = Promise.allSettled(calls.flat())
  abort.abort()
  const codes = (await settled).map((result) => (result.status === 'rejected' ? result.reason.code : 'none'))
  t.same([...new Set(codes)], ['FORKSAFE_ERR_CLIENT_ABORTED'])
  t.equal(client.state, 'idle')
  await new Promise((resolve) => setImmediate(resolve))
  t.same(warnings, [])
})

t.test('drain() counts, and close() proves what is queued before the Close frame', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url)
  t.same(await client.drain(), { confirmed: 0, abandoned: 0 })
  for (const text of ['a', 'b', 'c']) void client.send(text)
  t.same(await client.drain(), { confirmed: 3, abandoned: 0 })
  relay.connections[0]?.stall()
  const stuck = client.send('d')
  t.same(await client.drain({ timeout: 20 }), { confirmed: 0, abandoned: 1 })
  relay.connections[0]?.flow()
  const last = client.send('e')
  await client.close()
  t.match(await Promise.all([stuck, last]), [{ level: 'received' }, { level: 'received' }])
  t.same(upstream.messages, ['a', 'b', 'c', 'd', 'e'])
  await upstream.waitFor(({ connected }) => connected.length === 0)
  t.equal(upstream.upgraded[0]?.code, 1000)
  t.same(await client.drain(), { confirmed: 0, abandoned: 0 }, 'after the end there is nothing to wait for')
})

t.test('close() right after send(): the attempt that is under way still carries it', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url)
  const sent = client.send('last words')
  await client.close()
  t.match(await sent, { level: 'received' })
  t.same(upstream.messages, ['last words'])
})

t.test('what was written when a fork window opens is proved before the connection is closed', async (t) => {
  const { resourcesNewestFirst } = await import('../../src/shared/resources.js')
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url)
  await client.connect()
  const sent = Array.from({ length: 100 }, (_, n) => client.send(String(n)))
  const resource = resourcesNewestFirst().find(({ name }) => name === client.name)
  process.nextTick(() => void resource?.suspend({ timeout: 2_000 }))
  await eventually(
    () => client.state,
    (state) => state === 'suspended',
    { what: 'the client to be suspended' },
  )
  const meanwhile = client.send('meanwhile')
  await upstream.waitFor(({ connected }) => connected.length === 0)
  t.match(await Promise.allSettled(sent), Array(100).fill({ status: 'fulfilled' }))
  resource?.resume()
  t.match(await meanwhile, { epoch: 2 })
})

t.test('what is sent while the server says goodbye waits for the next connection', async (t) => {
  const wss = await server(t)
  const got: string[] = []
  wss.on('connection', (socket, { socket: tcp }) => {
    socket.on('message', (data) => {
      got.push(String(data))
      if (String(data) !== 'restart, please') return
      // In one packet: who has read the message has read the Close frame as well.
      tcp.cork()
      socket.send('bye')
      socket.close(1012, 'restart')
      tcp.uncork()
    })
  })
  const relay = await tcpRelay(t, wss.url)
  const client = newClient(t, relay.url, { closeTimeout: 100 })
  const [bye, lost] = [once(client, 'message'), once(client, 'lost')]
  await client.send('restart, please', { level: 'written' })
  await bye
  // Our answer to the Close frame does not arrive: the connection stays as it is until closeTimeout.
  relay.connections[0]?.stall()
  const sent = client.send('meanwhile')
  t.match(await lost, [{ code: 1012 }])
  t.match(await sent, { level: 'received', epoch: 2 })
  t.same(got, ['restart, please', 'meanwhile'])
})
