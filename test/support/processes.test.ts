// What the kit reads from /proc, on processes and connections made for it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from './clean-children.js'
import { eventually, withDeadline } from './deadline.js'
import {
  descendantsOf,
  killProcesses,
  markedProcesses,
  processRow,
  sessionMembers,
  stillAlive,
} from './process-tree.js'
import { connectedTcpSockets, sharedSockets, socketsOf, socketsTo } from './socket-table.js'

uninstrumentChildren()

/** Starts a child that starts a child that leaves the session; each lives until it is killed. */
const GRANDCHILD = 'setInterval(() => {}, 60_000)'
const CHILD = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(GRANDCHILD)}], { detached: true, stdio: 'ignore' }); ${GRANDCHILD}`

t.test('a process that left its session and lost its parent is found by its mark', async (t) => {
  const mark = String(Math.random())
  const child = spawn(process.execPath, ['-e', CHILD], {
    detached: true,
    stdio: 'ignore',
    env: cleanEnv({ KIT_MARK: mark }),
  })
  t.teardown(() => killProcesses(markedProcesses('KIT_MARK', mark)))
  const pid = child.pid ?? 0
  const family = await eventually(
    () => markedProcesses('KIT_MARK', mark),
    (rows) => rows.length === 2 && rows.every(({ command }) => command.includes('setInterval')),
    { what: 'child and grandchild' },
  )
  t.same(
    descendantsOf(pid).map((row) => row.ppid),
    [pid],
  )
  t.same(
    sessionMembers(pid).map((row) => row.pid),
    [pid],
    'the grandchild leads a session of its own',
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.equal(processRow(pid), null)
  t.equal(stillAlive(family).length, 1)
  t.equal(markedProcesses('KIT_MARK', mark).length, 1)
  killProcesses(family)
  await eventually(
    () => stillAlive(family),
    (rows) => rows.length === 0,
    { what: 'the family to be gone' },
  )
})

t.test('connected sockets are told with both ends, listeners are not among them', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const connection = once(server, 'connection')
  const before = connectedTcpSockets(process.pid).length
  const socket = connect(address.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  t.match(socketsTo(process.pid, address.port), [
    {
      family: 'tcp',
      state: 'ESTABLISHED',
      local: `127.0.0.1:${socket.localPort}`,
      remote: `127.0.0.1:${address.port}`,
    },
  ])
  const [accepted] = await connection
  t.equal(connectedTcpSockets(process.pid).length, before + 2, 'both ends, and not the listener')
  t.match(
    socketsOf(process.pid).filter(({ state }) => state === 'LISTEN'),
    [{ local: `127.0.0.1:${address.port}` }],
  )
  accepted.destroy()
})

t.test('a socket that a child inherits above stdio is shared, its stdio is not counted', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const inode = socketsOf(process.pid).find(({ state }) => state === 'LISTEN')
  if (inode === undefined) throw new Error('the listener has a descriptor')
  const start = (extra: number[]) => {
    const child = spawn(process.execPath, ['-e', GRANDCHILD], { stdio: ['pipe', 'pipe', 'pipe', ...extra] })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  const clean = start([])
  const inheriting = start([inode.fd])
  t.same(sharedSockets(clean.pid ?? 0, process.pid), [])
  t.match(sharedSockets(inheriting.pid ?? 0, process.pid), [{ fd: 3, inode: inode.inode, state: 'LISTEN' }])
})

t.test('a deadline says what it waited for and what it saw last', async (t) => {
  await t.rejects(
    eventually(
      () => ['a'],
      () => false,
      { what: 'a b', timeout: 1 },
    ),
    {
      message: 'waited 1 ms for a b; last seen: ["a"]',
    },
  )
  await t.rejects(withDeadline(new Promise(() => {}), { what: 'nothing', timeout: 1, last: () => 'x' }), {
    message: 'waited 1 ms for nothing; last seen: x',
  })
  t.equal(await withDeadline(Promise.resolve(1), { what: 'one' }), 1)
})
