// `forksafe/audit`, as a user's test calls it: on sockets of this process, and on those of a tree.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { assertNoLeaks, snapshot } from '../../src/audit/index.js'
import { ForksafeError } from '../../src/shared/errors.js'
import { socketFolder } from '../control/socket-folder.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

const servers = new Map<number, Server>()

const startServer = async (t: Test): Promise<{ server: Server; port: number; accepted: Set<Socket> }> => {
  const accepted = new Set<Socket>()
  const server = createServer((socket) => accepted.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of accepted) socket.destroy()
    if (server.listening) await once(server.close(), 'close')
  })
  const { port } = server.address() as AddressInfo
  servers.set(port, server)
  return { server, port, accepted }
}

/** Both ends are open when it resolves. */
const openClient = async (t: Test, port: number): Promise<Socket> => {
  const accepting = once(servers.get(port) ?? t, 'connection')
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await Promise.all([once(socket, 'connect'), accepting])
  return socket
}

const leakOf = async (promise: Promise<void>): Promise<ForksafeError> => {
  try {
    await promise
  } catch (error) {
    if (error instanceof ForksafeError) return error
    throw error
  }
  throw new Error('no leak was found')
}

t.test('a snapshot is of this process, and says where it came from', async (t) => {
  const { port } = await startServer(t)
  const { processes, source, takenAt } = await snapshot()
  t.equal(source, 'proc')
  t.ok(Math.abs(Date.now() - takenAt) < 10_000)
  t.equal(processes.length, 1)
  t.equal(processes[0]?.pid, process.pid)
  t.ok(processes[0]?.sockets.some(({ state, local }) => state === 'listen' && local?.port === port))
})

t.test('what was there before may stay', async (t) => {
  const { port } = await startServer(t)
  await openClient(t, port)
  const before = await snapshot()
  await assertNoLeaks(before, { within: 0 })
  t.pass()
})

t.test('a connection that stays open is told with both ends, state, descriptor and age', async (t) => {
  const { port, accepted } = await startServer(t)
  const before = await snapshot()
  const client = await openClient(t, port)
  const error = await leakOf(assertNoLeaks(before, { within: '50ms' }))
  t.match(error, {
    code: 'FORKSAFE_ERR_AUDIT_LEAK',
    retryable: false,
    details: { count: accepted.size + 1 },
  })
  t.match(
    error.message,
    `process ${process.pid}: tcp 127.0.0.1:${client.localPort} to 127.0.0.1:${port}, established, opened at most `,
  )
  t.match(error.message, /^sockets left open after 50ms: 2; .*`ignore`.*:\n {2}fd \d+ of process/)
  t.same(error.details.sockets, error.message.split('\n  ').slice(1))
})

t.test('so is a listener, of TCP and of unix', async (t) => {
  const before = await snapshot()
  const { port } = await startServer(t)
  const path = `${socketFolder(t)}/s`
  const unix = createServer().listen(path)
  await once(unix, 'listening')
  t.teardown(() => unix.close())
  const { message } = await leakOf(assertNoLeaks(before, { within: 0 }))
  t.match(message, `tcp 127.0.0.1:${port}, listen`)
  t.match(message, `unix ${path.slice(0, 100)}`)
})

t.test('a socket that is closed in time is none, and the wait ends with it', async (t) => {
  const { port, accepted } = await startServer(t)
  const before = await snapshot()
  const client = await openClient(t, port)
  const closed = once(client, 'close')
  const begun = performance.now()
  let looks = 0
  const ignore = (): boolean => {
    if (looks++ === 0) for (const socket of [client, ...accepted]) socket.destroy()
    return false
  }
  await assertNoLeaks(before, { within: '10s', ignore })
  await closed
  t.ok(looks > 0, 'it was open at the first look')
  t.ok(performance.now() - begun < 5_000)
})

t.test('one that is closed and opened again is a new one', async (t) => {
  const { port } = await startServer(t)
  const first = await openClient(t, port)
  const before = await snapshot()
  const closed = once(first, 'close')
  first.destroy()
  await closed
  await openClient(t, port)
  t.match(await leakOf(assertNoLeaks(before, { within: 0 })), { code: 'FORKSAFE_ERR_AUDIT_LEAK' })
})

t.test('what `ignore` says true of may stay', async (t) => {
  const { port } = await startServer(t)
  const before = await snapshot()
  await openClient(t, port)
  await assertNoLeaks(before, {
    within: 0,
    ignore: ({ local, remote }, { pid }) =>
      pid === process.pid && (local?.port === port || remote?.port === port),
  })
  const error = await leakOf(
    assertNoLeaks(before, { within: 0, ignore: ({ remote }) => remote?.port === port }),
  )
  t.equal(error.details.count, 1)
})

t.test('without a snapshot none may be there, but those of Node itself', async (t) => {
  await assertNoLeaks(undefined, { within: 0 })
  const { port } = await startServer(t)
  t.match((await leakOf(assertNoLeaks(undefined, { within: 0 }))).message, `127.0.0.1:${port}, listen`)
  t.notMatch((await leakOf(assertNoLeaks())).message, 'opened at most', 'nobody knows since when')
})

t.test('many leaks are counted, and the first are told', async (t) => {
  const { port } = await startServer(t)
  const before = await snapshot()
  for (let n = 0; n < 15; n++) await openClient(t, port)
  const { message, details } = await leakOf(assertNoLeaks(before, { within: 0 }))
  const count = Number(details.count)
  t.equal(count, 2 * 15)
  t.match(message, new RegExp(`\n {2}… and ${count - 20} more$`))
  t.equal(message.split('\n').length, 1 + 20 + 1)
})

/** A child that has a child that listens. */
const LISTENER = `require('net').createServer().listen(0, '127.0.0.1', () => process.send('ready')); process.on('disconnect', process.exit)`
const PARENT = `const c = require('child_process').fork(process.argv[1]); c.on('message', (m) => process.send(m)); process.on('disconnect', process.exit)`

t.test('the sockets of a tree: also those of children of children', async (t) => {
  const dir = t.testdir({ 'listener.cjs': LISTENER })
  const alone = await snapshot({ tree: true })
  const child = spawn(process.execPath, ['-e', PARENT, `${dir}/listener.cjs`], {
    env: cleanEnv(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await withDeadline(once(child, 'message'), { what: 'the child of the child' })
  const { processes } = await snapshot({ tree: true })
  t.equal(processes.length, alone.processes.length + 2)
  t.match(processes.at(-1)?.sockets.at(-1), { kind: 'tcp', state: 'listen' })
  const { message } = await leakOf(assertNoLeaks(alone, { tree: true, within: 0 }))
  t.match(message, new RegExp(`of process ${processes.at(-1)?.pid}: tcp 127.0.0.1:\\d+, listen`))
  await t.rejects(assertNoLeaks(await snapshot({ pid: child.pid }), { tree: true, within: 0 }), {
    message: /: tcp/,
  })

  const gone = once(child, 'exit')
  child.disconnect()
  await gone
  await assertNoLeaks(alone, { tree: true })
  t.pass('and nothing is left of it')
})

t.test('who is gone has no sockets, who may not be read is no pass', async (t) => {
  await assertNoLeaks(undefined, { pid: 2 ** 22 + 1, within: 0 })
  t.pass()
})

t.test('a signal ends the wait', async (t) => {
  const { port } = await startServer(t)
  const before = await snapshot()
  await openClient(t, port)
  const controller = new AbortController()
  const waiting = assertNoLeaks(before, { within: '60s', signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(waiting)
  await t.rejects(snapshot({ signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})

t.test('a bound that is no duration is refused', async (t) => {
  await t.rejects(assertNoLeaks(undefined, { within: 'soon' }), {
    code: 'FORKSAFE_ERR_OPTION_INVALID',
    message: /^within: "soon" is not a duration/,
  })
})

t.test('from lsof: the same leak', needsPackage('lsof', '/usr/bin/lsof'), async (t) => {
  t.teardown(() => delete process.env.FORKSAFE_AUDIT_SOURCE)
  process.env.FORKSAFE_AUDIT_SOURCE = 'lsof'
  const { port } = await startServer(t)
  const before = await snapshot({ tree: true })
  t.equal(before.source, 'lsof')
  await assertNoLeaks(before, { within: 0 })
  const client = await openClient(t, port)
  const { message } = await leakOf(assertNoLeaks(before, { within: '300ms' }))
  t.match(message, `tcp 127.0.0.1:${client.localPort} to 127.0.0.1:${port}, established`)
})
