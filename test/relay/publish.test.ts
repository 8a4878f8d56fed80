import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { serveIngress } from '../../src/relay/ingress/serve-ingress.js'
import { publish, publishBatch } from '../../src/relay/publish.js'
import { socketFolder } from '../control/socket-folder.js'
import { eventually } from '../support/deadline.js'
import { RecordingDoor } from '../support/recording-door.js'
import { serveTcp, serveUnix, settingsOf, TOKEN } from './ingress/serving.js'

t.test('a text is a text frame, bytes are a binary one', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  const before = Date.now()
  const published = await publish('feed', 'drüben', { socket, id: 'm1', key: 'k', ttl: '1500ms' })
  t.same(published, { id: 'm1', state: 'queued' })
  await publish('feed', new Uint8Array([0, 255]), { socket })
  await publish('feed', 'text', { socket, binary: true })
  t.match(door.appended, [
    { id: 'm1', key: 'k', isBinary: false },
    { key: null, isBinary: true, expiresAt: null },
    { isBinary: true },
  ])
  t.equal(door.appended[0]?.body.toString(), 'drüben')
  t.same([...(door.appended[1]?.body ?? [])], [0, 255])
  const expiresAt = door.appended[0]?.expiresAt ?? 0
  t.ok(expiresAt >= before + 2_000 && expiresAt <= Date.now() + 2_000, 'whole seconds, rounded up')
})

t.test('with wait it settles with the receipt', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  const published = publish('feed', 'x', { socket, id: 'm1', wait: '60s' })
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 1,
    { what: 'the request to wait' },
  )
  door.settle('m1', { state: 'delivered', receipt: { level: 'received', epoch: 1, rtt: 2 } })
  t.same(await published, { id: 'm1', state: 'delivered', receipt: { level: 'received', epoch: 1, rtt: 2 } })
  t.match(await publish('feed', 'x', { socket, id: 'm1' }), { state: 'delivered', duplicate: true })
})

t.test('a refusal has the code of the relay, the id and what to do', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  await publish('feed', 'x', { socket, id: 'm1' })
  await t.rejects(publish('feed', 'y', { socket, id: 'm1' }), {
    code: 'FORKSAFE_ERR_RELAY_CONFLICT',
    retryable: false,
    details: { id: 'm1', status: 409 },
  })
  await t.rejects(publish('other', 'y', { socket }), {
    code: 'FORKSAFE_ERR_RELAY_UNKNOWN_CLIENT',
    message: /no client other; there is feed/,
  })
  await t.rejects(publish('feed', 'x'.repeat(5_000), { socket }), { code: 'FORKSAFE_ERR_RELAY_TOO_LARGE' })
  door.refusal = { code: 'FORKSAFE_ERR_RELAY_DISK_FULL', message: 'the disk is full', retryAfter: 7 }
  await t.rejects(publish('feed', 'x', { socket }), {
    code: 'FORKSAFE_ERR_RELAY_DISK_FULL',
    retryable: true,
    details: { status: 507, retryAfter: 7 },
  })
  door.refusal = { code: 'FORKSAFE_ERR_RELAY_FULL', message: 'full', retryAfter: 60 }
  await t.rejects(
    publish('feed', 'x', { socket }),
    { code: 'FORKSAFE_ERR_RELAY_FULL' },
    'no use to wait so long',
  )
})

t.test('a relay that comes later is found, with the same id', async (t) => {
  const path = join(socketFolder(t), 'relay.sock')
  const published = publish('feed', 'x', { socket: path, id: 'm1' })
  const door = new RecordingDoor()
  const ingress = await serveIngress({ door, settings: settingsOf([{ kind: 'unix', path }]), log: () => {} })
  t.teardown(() => ingress.close())
  t.same(await published, { id: 'm1', state: 'queued' })
  t.equal(door.appended.length, 1)
})

t.test('a relay that has no room for a moment is asked again', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  door.refusal = { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE', message: 'restarting', retryAfter: 1 }
  let asked = 0
  const { append } = door
  door.append = (client, messages) => {
    if (++asked === 2) door.refusal = null
    return append.call(door, client, messages)
  }
  t.match(await publish('feed', 'x', { socket }), { state: 'queued' })
  t.equal(asked, 2)
})

const httpServer = async (t: Test, server: Server): Promise<string> => {
  const path = join(socketFolder(t), 'relay.sock')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return path
}

t.test('a connection that is reset before the answer is tried again with the same id', async (t) => {
  const ids: unknown[] = []
  const server = createServer((request, response) => {
    ids.push(request.headers['idempotency-key'])
    if (ids.length < 3) request.socket.destroy()
    else response.writeHead(202).end('{"id":"x","state":"queued"}')
  })
  const socket = await httpServer(t, server)
  await publish('feed', 'x', { socket })
  t.equal(ids.length, 3)
  t.equal(new Set(ids).size, 1)
})

t.test('nobody there, no answer, no relay: told apart, with what to do', async (t) => {
  const folder = socketFolder(t)
  await t.rejects(publish('feed', 'x', { socket: join(folder, 'none.sock'), timeout: 100, id: 'm1' }), {
    code: 'FORKSAFE_ERR_RELAY_UNREACHABLE',
    retryable: true,
    message: /no relay listens there; start it with 'supervisor relay'/,
    details: { id: 'm1' },
  })
  const silent = await httpServer(
    t,
    createServer(() => {}),
  )
  await t.rejects(publish('feed', 'x', { socket: silent, timeout: 100 }), {
    code: 'FORKSAFE_ERR_RELAY_TIMEOUT',
    message: /send it again with the same id/,
  })
  for (const [status, body] of [
    [200, 'hello'],
    [200, '{"id":5}'],
    [404, '<html>'],
    [500, '{"code":"toString"}'],
  ] as const) {
    const other = await httpServer(
      t,
      createServer((_request, response) => void response.writeHead(status).end(body)),
    )
    await t.rejects(publish('feed', 'x', { socket: other }), { code: 'FORKSAFE_ERR_RELAY_REQUEST' }, body)
  }
})

t.test('a caller can give up', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  door.held = []
  const giveUp = new AbortController()
  const published = publish('feed', 'x', { socket, signal: giveUp.signal })
  await eventually(
    () => door.held?.length,
    (held) => held === 1,
    { what: 'the message at the door' },
  )
  giveUp.abort(new Error('enough'))
  await t.rejects(published, { code: 'FORKSAFE_ERR_RELAY_ABORTED', cause: { message: 'enough' } })
  door.open()
  const signal = AbortSignal.abort()
  await t.rejects(publish('feed', 'x', { socket, signal }), { code: 'FORKSAFE_ERR_RELAY_ABORTED' })
  await t.rejects(publish('feed', 'x', { socket: '/nowhere/x.sock', signal: AbortSignal.timeout(50) }), {
    code: 'FORKSAFE_ERR_RELAY_ABORTED',
  })
})

t.test('what is wrong with a call is told before anything is sent', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  const code = 'FORKSAFE_ERR_RELAY_OPTIONS'
  for (const client of ['', 'a/b', '../x', 'x'.repeat(65), 'ü'])
    await t.rejects(publish(client, 'x', { socket }), { code, details: { field: 'client' } }, client)
  await t.rejects(publish('feed', '', { socket }), { code, message: /is empty/ })
  await t.rejects(Reflect.apply(publish, null, ['feed', { a: 1 }, { socket }]), {
    code,
    message: /JSON.stringify/,
  })
  for (const options of [
    { id: 'a b' },
    { id: '' },
    { key: 'x'.repeat(129) },
    { ttl: '0s' },
    { ttl: 'soon' },
    { wait: '6m' },
    { timeout: 0 },
  ])
    await t.rejects(publish('feed', 'x', { socket, ...options }), { code }, JSON.stringify(options))
  for (const place of [
    { socket: 'relay.sock' },
    { socket: 'https://127.0.0.1' },
    { name: '../x' },
    { name: '' },
  ])
    await t.rejects(publish('feed', 'x', place), { code }, JSON.stringify(place))
  t.same(door.appended, [])
})

t.test('over TCP the token comes from the environment', async (t) => {
  const { door, place } = await serveTcp(t)
  const socket = `http://127.0.0.1:${place}`
  await t.rejects(publish('feed', 'x', { socket }), {
    code: 'FORKSAFE_ERR_RELAY_OPTIONS',
    message: /needs a token/,
  })
  process.env.FORKSAFE_RELAY_TOKEN = TOKEN
  t.teardown(() => {
    delete process.env.FORKSAFE_RELAY_TOKEN
    delete process.env.FORKSAFE_RELAY
  })
  await publish('feed', 'x', { socket })
  process.env.FORKSAFE_RELAY = socket
  await publish('feed', 'x')
  t.equal(door.appended.length, 2)
  process.env.FORKSAFE_RELAY_TOKEN = 'another-token-of-ours'
  await t.rejects(publish('feed', 'x'), { code: 'FORKSAFE_ERR_RELAY_TOKEN' })
})

t.test('a relay is found by the environment, by name and by default', async (t) => {
  const folder = socketFolder(t)
  const home = { XDG_RUNTIME_DIR: folder, HOME: folder }
  const { findRelay } = await import('../../src/relay/find-relay.js')
  const pathOf = (env: NodeJS.ProcessEnv, name?: string): unknown => {
    const found = findRelay({ name, env: { ...home, ...env } })
    return found.kind === 'unix' ? found.path : found
  }
  t.equal(pathOf({}), '/run/forksafe-relay/relay.sock')
  t.equal(pathOf({}, 'api'), '/run/forksafe-relay/api.sock')
  t.equal(pathOf({ FORKSAFE_RELAY: 'api' }), '/run/forksafe-relay/api.sock')
  t.equal(pathOf({ FORKSAFE_RELAY: '/x/y.sock' }), '/x/y.sock')
  t.equal(pathOf({ FORKSAFE_RELAY: '/x/y.sock' }, 'api'), '/run/forksafe-relay/api.sock')
  t.match(pathOf({ FORKSAFE_RELAY: 'http://127.0.0.1:81', FORKSAFE_RELAY_TOKEN: 'a-token' }), {
    kind: 'tcp',
    url: 'http://127.0.0.1:81',
    token: 'a-token',
  })
})

t.test('a batch is taken in order, each message with an id', async (t) => {
  const { door, place: socket } = await serveUnix(t)
  const results = await publishBatch(
    'feed',
    ['one', new Uint8Array([0]), { data: 'three', id: 'm3', ttl: '5s', key: 'k' }],
    { socket },
  )
  t.match(results, [{ state: 'queued' }, { state: 'queued' }, { id: 'm3', state: 'queued' }])
  t.match(door.appended, [{ isBinary: false }, { isBinary: true }, { id: 'm3', key: 'k' }])
  t.match(
    await publishBatch(
      'feed',
      [
        { data: 'three', id: 'm3', key: 'k' },
        { data: 'x', id: 'm3' },
      ],
      { socket },
    ),
    [
      { id: 'm3', duplicate: true },
      { id: 'm3', error: { code: 'FORKSAFE_ERR_RELAY_CONFLICT' } },
    ],
  )
  await t.rejects(publishBatch('feed', [], { socket }), { code: 'FORKSAFE_ERR_RELAY_OPTIONS' })
  await t.rejects(publishBatch('feed', ['x', ''], { socket }), { message: /messages\[1\] is empty/ })
})

t.test('calls one after the other use one connection', async (t) => {
  const sockets = new Set<unknown>()
  const server = createServer((request, response) => {
    sockets.add(request.socket)
    response.writeHead(202).end('{"id":"x","state":"queued"}')
  })
  const socket = await httpServer(t, server)
  for (let round = 0; round < 20; round++) await publish('feed', 'x', { socket })
  t.equal(sockets.size, 1)
})
