// The guarded client against real servers, good ones and hostile ones.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type GuardedClientOptions, guardedClient } from '../../src/client/index.js'
import { resourcesNewestFirst } from '../../src/shared/resources.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { newClient } from './new-client.js'

/** A raw TCP server that does what `talk` does with each connection, and knows which are open. */
const rawServer = async (t: Test, talk: (socket: Socket) => void) => {
  const open = new Set<Socket>()
  let accepted = 0
  const server: Server = createServer((socket) => {
    accepted++
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    talk(socket)
    // Without a reader the end of a connection is not seen.
    socket.resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open,
    get accepted() {
      return accepted
    },
  }
}

/** Answers the upgrade with a status line and headers of its own. */
const answers =
  (...lines: string[]) =>
  (socket: Socket) =>
    void socket.once('data', () => socket.end(`HTTP/1.1 ${lines.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`))

t.test('making a client dials nothing, and a name is one client', async (t) => {
  const upstream = await recordingUpstream(t)
  const options = { url: upstream.url }
  const client = guardedClient('one', options)
  client.on('message', () => {})
  t.equal(guardedClient('one'), client)
  t.equal(guardedClient('one', { ...options }), client)
  t.throws(() => guardedClient('one', { url: 'ws://127.0.0.1:1' }), {
    code: 'FORKSAFE_ERR_CLIENT_OPTIONS',
    message: /another url/,
  })
  t.throws(() => guardedClient('two'), { code: 'FORKSAFE_ERR_CLIENT_UNKNOWN' })
  t.equal(client.state, 'idle')
  await client.close()
  t.throws(() => guardedClient('one'), { code: 'FORKSAFE_ERR_CLIENT_UNKNOWN' }, 'closing frees the name')
  t.equal(upstream.connections.length, 0)
})

t.test('options are checked at the door', async (t) => {
  const url = 'ws://127.0.0.1:1'
  const wrong: [GuardedClientOptions, RegExp][] = [
    [{ url: 'http://x' }, /url of client .* is not a WebSocket scheme/],
    [{ url: 'ws://x/#a' }, /fragment/],
    [{ url: 'nonsense' }, /is not a URL/],
    [{ url, connectTimeout: '5x' }, /connectTimeout of client .* is not a duration/],
    [{ url, backoff: { min: 100, max: 10 } }, /backoff\.max/],
    [{ url, maxPending: { count: 0 } }, /maxPending\.count/],
    [{ url, maxPayload: '2G' }, /maxPayload .* is more than 2147483647 bytes/],
    [{ url, headers: { 'a b': 'c' } }, /is not a header name/],
    [{ url, headers: { a: 'b\r\nc: d' } }, /has a value/],
    [{ url, conectTimeout: 1 } as GuardedClientOptions, /did you mean connectTimeout/],
  ]
  for (const [options, message] of wrong) {
    t.throws(() => guardedClient('wrong', options), { code: 'FORKSAFE_ERR_CLIENT_OPTIONS', message })
  }
  t.throws(() => guardedClient('wrong', { url, exclusive: true }), { code: 'FORKSAFE_ERR_CLIENT_NO_LEASE' })
  t.throws(() => guardedClient('bad\nname', { url }), { code: 'FORKSAFE_ERR_CLIENT_OPTIONS' })
})

t.test('100 concurrent connect() are one accept', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url)
  await Promise.all(Array.from({ length: 100 }, () => client.connect()))
  t.equal(upstream.connections.length, 1)
  await client.close()
  await upstream.waitFor(({ connected }) => connected.length === 0)
  t.equal(upstream.upgraded[0]?.code, 1000)
})

t.test('an abort rejects its caller, and the last one cancels the attempt: no socket is left', async (t) => {
  const server = await rawServer(t, () => {})
  const client = newClient(t, server.url)
  const [one, other] = [new AbortController(), new AbortController()]
  const calls = [client.connect({ signal: one.signal }), client.connect({ signal: other.signal })]
  await eventually(
    () => server.open.size,
    (size) => size === 1,
    { what: 'the attempt to be accepted' },
  )
  one.abort()
  await t.rejects(calls[0] ?? Promise.resolve(), { code: 'FORKSAFE_ERR_CLIENT_ABORTED' })
  t.equal(client.state, 'connecting', 'the other still waits')
  other.abort()
  await t.rejects(calls[1] ?? Promise.resolve(), { code: 'FORKSAFE_ERR_CLIENT_ABORTED' })
  await eventually(
    () => server.open.size,
    (size) => size === 0,
    { what: 'no socket at the server' },
  )
  t.equal(client.state, 'idle')
  t.equal(server.accepted, 1)
})

for (const [name, talk] of [
  ['never answers the upgrade', () => {}],
  [
    'trickles headers, so that no idle timer fires',
    (socket: Socket) => {
      const drip = setInterval(() => socket.write('x-drip: 1\r\n'), 20)
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\n'))
      socket.on('close', () => clearInterval(drip))
    },
  ],
] as const) {
  t.test(`the absolute deadline ends an attempt with a server that ${name}: no socket is left`, async (t) => {
    const server = await rawServer(t, talk)
    const client = newClient(t, server.url, { connectTimeout: 200, backoff: { min: '1m', max: '1m' } })
    await t.rejects(client.connect(), {
      code: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT',
      message: /within 200 ms/,
    })
    await eventually(
      () => server.open.size,
      (size) => size === 0,
      { what: 'no socket at the server' },
    )
    t.equal(client.state, 'waiting')
    await client.close()
    t.equal(client.state, 'closed')
  })
}

t.test('url and headers are asked for each attempt, within its deadline', async (t) => {
  const upstream = await recordingUpstream(t)
  let asked = 0
  const client = newClient(t, upstream.url, { url: async () => `${upstream.url}/?slot=${++asked}` })
  await client.connect()
  t.equal(upstream.open[0]?.slot, '1')
  const hung = newClient(t, upstream.url, { url: () => new Promise(() => {}), connectTimeout: 50 })
  await t.rejects(hung.connect(), { code: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT' })
})

for (const [answer, code, state] of [
  [['401 Unauthorized'], 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED', 'idle'],
  [['403 Forbidden'], 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED', 'idle'],
  [['302 Found', 'location: http://127.0.0.1/'], 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED', 'idle'],
  [['500 Oops'], 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED', 'waiting'],
  [
    ['101 Switching Protocols', 'upgrade: websocket', 'connection: upgrade', 'sec-websocket-accept: wrong'],
    'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
    'waiting',
  ],
] as const) {
  t.test(`an upgrade answered with ${answer[0]}`, async (t) => {
    const server = await rawServer(t, answers(...answer))
    const client = newClient(t, `${server.url.replace('//', '//user:secret@')}/?token=secret`, {
      backoff: { min: '1m', max: '1m' },
    })
    const sent = client.send('hello')
    const failed = await client.connect().then(
      () => null,
      (error: unknown) => error,
    )
    t.match(failed, { code })
    t.notMatch(String(failed), /secret/, 'no credentials in the message')
    t.equal(client.state, state)
    if (state === 'idle') await t.rejects(sent, { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' })
    else sent.catch(() => {})
    await eventually(
      () => server.open.size,
      (size) => size === 0,
      { what: 'no socket at the server' },
    )
    t.equal(server.accepted, 1)
  })
}

t.test('Retry-After is honoured, up to the longest backoff', async (t) => {
  const server = await rawServer(t, answers('503 Service Unavailable', 'retry-after: 3600'))
  const client = newClient(t, server.url, { backoff: { min: 10, max: '40s' } })
  const waiting = once(client, 'waiting')
  await t.rejects(client.connect(), { code: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED', message: /503/ })
  t.match(await waiting, [{ delay: 40_000, attempt: 1 }])
})

t.test('what is sent before it is open, and while the server is away, arrives in order', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url)
  const receipts = await Promise.all(['a', 'b', 'c'].map((text) => client.send(text)))
  t.match(receipts, [{ level: 'received', epoch: 1 }, { epoch: 1 }, { epoch: 1 }])
  await client.close()
  t.same(upstream.messages, ['a', 'b', 'c'])
  const { accepted, confirmed, rejected, pending } = client.stats()
  t.same([accepted, confirmed, rejected, pending], [3, 3, 0, 0])
})

t.test('a lost connection is dialled again, and what waited meanwhile arrives', async (t) => {
  const sockets: Socket[] = []
  const upstream = await recordingUpstream(t)
  // A relay in front of the upstream: its connections can be cut without a Close frame.
  const relay = await rawServer(t, (socket) => {
    const { port } = new URL(upstream.url)
    const onward = new (socket.constructor as typeof Socket)()
    sockets.push(socket)
    onward.connect(Number(port), '127.0.0.1')
    onward.on('error', () => socket.destroy())
    socket.on('close', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  })
  const client = newClient(t, relay.url)
  await client.send('before')
  await upstream.waitFor(({ messages }) => messages.length === 1)
  const waiting = once(client, 'waiting')
  sockets[0]?.resetAndDestroy()
  t.match(await waiting, [{ attempt: 1 }])
  await Promise.all([client.send('after 1'), client.send('after 2')])
  await upstream.waitFor(({ messages }) => messages.length === 3)
  t.same(upstream.messages, ['before', 'after 1', 'after 2'])
  t.equal(client.stats().reconnects, 1)
})

t.test('what a peer never read is no receipt: its fate is unknown when the connection dies', async (t) => {
  const upstream = await recordingUpstream(t)
  const big = Buffer.alloc(16 * 1024 * 1024)
  const paused: Socket[] = []
  const relay = await rawServer(t, (socket) => {
    const { port } = new URL(upstream.url)
    const onward = new (socket.constructor as typeof Socket)()
    paused.push(socket)
    onward.connect(Number(port), '127.0.0.1')
    onward.on('error', () => {})
    socket.once('data', (upgrade) => {
      onward.write(upgrade)
      socket.pause() // the upgrade and nothing else
    })
    onward.pipe(socket)
    socket.on('close', () => onward.destroy())
  })
  const client = newClient(t, relay.url, { maxPending: { bytes: '256M' }, backoff: { min: '1m', max: '1m' } })
  await client.connect()
  const sends = Array.from({ length: 4 }, () => client.send(big))
  const settled = Promise.allSettled(sends)
  paused[0]?.resetAndDestroy()
  await t.rejects(sends[0] ?? Promise.reject(new Error('no send')), {
    code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN',
  })
  t.match(
    client.stats(),
    { accepted: 4, confirmed: 0, rejected: 1, pending: 3 },
    'the rest was not written yet',
  )
  await client.close()
  for (const result of (await settled).slice(1))
    t.match(result, { status: 'rejected', reason: { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' } })
  t.match(client.stats(), { accepted: 4, confirmed: 0, rejected: 4, pending: 0 })
})

t.test('the outbox is bounded, and what cannot be sent is refused at once', async (t) => {
  const server = await rawServer(t, () => {})
  const client = newClient(t, server.url, { maxPending: { count: 2, bytes: 100 } })
  const kept = [client.send('1'), client.send('2')]
  await t.rejects(client.send('3'), { code: 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL', message: /2 of 2 messages/ })
  // @ts-expect-error an object is not sendable: that is the point
  await t.rejects(client.send({ a: 1 }), {
    code: 'FORKSAFE_ERR_CLIENT_MESSAGE_INVALID',
    message: /JSON\.stringify/,
  })
  const settled = Promise.allSettled(kept)
  await client.close()
  for (const result of await settled)
    t.match(result, { status: 'rejected', reason: { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' } })
  await t.rejects(client.send('late'), { code: 'FORKSAFE_ERR_CLIENT_CLOSED' })
})

t.test('a message can be taken back, by signal or timeout, as long as it was not written', async (t) => {
  const server = await rawServer(t, () => {})
  const client = newClient(t, server.url)
  const abort = new AbortController()
  const aborted = client.send('a', { signal: abort.signal })
  const late = client.send('b', { timeout: 20 })
  abort.abort()
  await t.rejects(aborted, { code: 'FORKSAFE_ERR_CLIENT_ABORTED' })
  await t.rejects(late, { code: 'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT' })
  t.equal(client.stats().pending, 0)
})

t.test('close() is bounded against a peer that never answers, and settles in every state', async (t) => {
  const upstream = await recordingUpstream(t, { answersClose: false })
  const client = newClient(t, upstream.url, { closeTimeout: 100 })
  await client.connect()
  const closing = client.close()
  t.equal(client.close(), closing, 'the same promise')
  await withDeadline(closing, { what: 'close() to settle' })
  await upstream.waitFor(({ connected }) => connected.length === 0)

  const hanging = await rawServer(t, () => {})
  for (const state of ['idle', 'connecting', 'waiting', 'suspended'] as const) {
    const other = newClient(t, state === 'waiting' ? 'ws://127.0.0.1:1' : hanging.url, {
      backoff: { min: '1m', max: '1m' },
      closeTimeout: 100,
    })
    if (state === 'connecting') other.connect().catch(() => {})
    if (state === 'waiting') await other.connect().catch(() => {})
    if (state === 'suspended') void resourcesNewestFirst()[0]?.suspend({ timeout: 50 })
    t.equal(other.state, state)
    await withDeadline(other.close(), { what: `close() to settle when ${state}` })
    t.equal(other.state, 'closed')
  }
})

t.test('a listener that closes the client in the middle of things breaks nothing', async (t) => {
  const upstream = await recordingUpstream(t)
  for (const event of ['connecting', 'opened'] as const) {
    const client = newClient(t, upstream.url)
    client.once(event, () => void client.close())
    await client.connect().catch(() => {})
    await withDeadline(client.close(), { what: `the client closed in '${event}' to be closed` })
  }
  await upstream.waitFor(({ connected }) => connected.length === 0)
})

t.test('messages() takes its time, and the upstream feels it', async (t) => {
  const upstream = await recordingUpstream(t, { echoes: true })
  const client = newClient(t, upstream.url)
  const stream = client.messages()
  for (let n = 0; n < 200; n++) await client.send(String(n))
  const got: unknown[] = []
  for await (const { data } of stream) {
    got.push(String(data))
    if (got.length === 200) break
  }
  t.same(
    got,
    Array.from({ length: 200 }, (_, n) => String(n)),
  )
})

t.test("afterConnect is done before queued messages flow, and its failure is the attempt's", async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url, {
    afterConnect: async (session) => {
      await session.send('login')
    },
  })
  await client.send('work')
  await upstream.waitFor(({ messages }) => messages.length === 2)
  t.same(upstream.messages, ['login', 'work'])
  const failing = newClient(t, upstream.url, {
    afterConnect: () => {
      throw new Error('no')
    },
  })
  await t.rejects(failing.connect(), {
    code: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
    message: /afterConnect failed: no/,
  })
})
