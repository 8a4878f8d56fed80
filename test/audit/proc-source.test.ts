// /proc as it may be found: written as text, and real processes that are killed while they are read.

import { execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { readFromProc } from '../../src/audit/proc-source.js'
import { isGone } from '../../src/audit/process-problem.js'
import { socketInodesOf } from '../../src/audit/socket-inodes.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const HEADING =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const REST = '00000000:00000000 00:00000000 00000000     0        0'
const stat = (pid: number, { ppid = 1, state = 'S', threads = 1, start = 500 } = {}): string =>
  `${pid} (a) b) ${state} ${ppid} 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 ${threads} 0 ${start} 1000 10`

type Folder = NonNullable<Parameters<typeof t.testdir>[0]>

/** A folder of /proc. @param sockets descriptors with their inodes. */
const folder = (t: Test, pid: number, sockets: Record<string, number>, more: object = {}): Folder => ({
  stat: stat(pid),
  cmdline: 'node\0--title\0app.js\0',
  ns: { net: t.fixture('symlink', 'net:[4026531840]') },
  fd: {
    0: t.fixture('symlink', '/dev/null'),
    ...Object.fromEntries(
      Object.entries(sockets).map(([fd, inode]) => [fd, t.fixture('symlink', `socket:[${inode}]`)]),
    ),
  },
  ...more,
})

const net = () => ({
  tcp: `${HEADING}   0: 0100007F:1F90 00000000:0000 0A ${REST} 4294967297 1 00 100 0 0 10 0\n   1: 0100007F:1F90 0100007F:D431 01 ${REST} 12 1 00\n   2: 0100007F:D431 0100007F:1F90 06 ${REST} 0 3 00\n`,
  tcp6: HEADING,
  udp: HEADING,
  unix: 'Num       RefCount Protocol Flags    Type St Inode Path\n0: 00000003 00000000 00000000 0001 03 13\n0: 00000003 00000000 00000000 0001 03 0\n',
})

t.test('descriptors are joined with the tables of their namespace', async (t) => {
  const root = t.testdir({
    proc: {
      4194303: folder(t, 4194303, { 30: 12, 4: 4294967297, 100: 99 }, { net: net() }),
      78: folder(t, 78, { 5: 13, 6: 12 }),
    },
  })
  const { processes, unowned } = await readFromProc([4194303, 78], { root })
  t.match(processes, [
    { pid: 4194303, ppid: 1, startTime: 500, command: 'node --title app.js', problem: null },
    { pid: 78, problem: null },
  ])
  const said = processes.map(({ sockets }) =>
    sockets.map(({ fd, inode, kind, state }) => ({ fd, inode, kind, state })),
  )
  t.same(said, [
    [
      { fd: 4, inode: 4294967297, kind: 'tcp', state: 'listen' },
      { fd: 30, inode: 12, kind: 'tcp', state: 'established' },
      { fd: 100, inode: 99, kind: 'other', state: 'close' },
    ],
    [
      { fd: 5, inode: 13, kind: 'unix', state: 'established' },
      { fd: 6, inode: 12, kind: 'tcp', state: 'established' },
    ],
  ])
  t.match(unowned, [{ inode: 0, kind: 'tcp', state: 'time-wait', remote: { port: 8080 } }])
  t.equal(unowned.length, 1, 'unix sockets that wait to be accepted are none')
})

t.test('each namespace has its own tables', async (t) => {
  const other = {
    ns: { net: t.fixture('symlink', 'net:[4026532222]') },
    net: { tcp: `${HEADING}   0: 0100007F:0050 00000000:0000 0A ${REST} 12 1 00\n` },
  }
  const root = t.testdir({
    proc: { 77: folder(t, 77, { 4: 12 }, { net: net() }), 78: folder(t, 78, { 5: 12 }, other) },
  })
  const { processes } = await readFromProc([77, 78], { root })
  t.match(processes, [
    { sockets: [{ state: 'established', local: { port: 8080 } }] },
    { sockets: [{ state: 'listen', local: { port: 80 } }] },
  ])
})

t.test('who is gone, ended or incomplete is told with its process', async (t) => {
  const root = t.testdir({
    proc: {
      1: folder(t, 1, { 4: 12 }, { net: net() }),
      2: { stat: stat(2, { state: 'Z' }), ns: {}, fd: {} },
      3: { stat: 'nonsense' },
      4: folder(t, 4, { 4: 12 }, { stat: stat(4, { state: 'Z', threads: 2 }) }),
    },
  })
  const { processes } = await readFromProc([9, 2, 1, 3, 4], { root })
  t.same(
    processes.map((process) => [process.pid, isGone(process), process.sockets.length]),
    [
      [9, true, 0],
      [2, true, 0],
      [1, false, 1],
      [3, true, 0],
      [4, false, 1],
    ],
    'whose first thread has ended before the others still holds its sockets',
  )
})

/**
 * Reads two processes and stops between them: when the first is read and before any table is. The command line of the
 * second is a pipe, which waits for `change`.
 */
const readWithChange = async (root: string, [first, second]: [number, number], change: () => void) => {
  const pipe = `${root}/proc/${second}/cmdline`
  rmSync(pipe)
  execFileSync('mkfifo', [pipe])
  const reading = readFromProc([first, second], { root })
  const end = await open(pipe, 'w')
  change()
  await end.close()
  return await reading
}

t.test('who goes before the tables are read is gone, and another one gives the tables', async (t) => {
  const root = t.testdir({
    proc: {
      77: folder(t, 77, { 4: 12 }, { net: net() }),
      78: folder(t, 78, { 5: 12, 6: 13 }, { net: net() }),
    },
  })
  const { processes } = await readWithChange(root, [77, 78], () =>
    rmSync(`${root}/proc/77`, { recursive: true }),
  )
  t.match(processes, [
    { pid: 77, sockets: [], problem: 'the process is gone' },
    { pid: 78, sockets: [{ state: 'established' }, { kind: 'unix' }], problem: null },
  ])
})

t.test('a command line that cannot be read for ever is not waited for: the name will do', async (t) => {
  const root = t.testdir({ proc: { 77: folder(t, 77, { 4: 12 }, { net: net() }) } })
  rmSync(`${root}/proc/77/cmdline`)
  execFileSync('mkfifo', [`${root}/proc/77/cmdline`])
  const { processes } = await readFromProc([77], { root })
  t.match(processes, [{ command: 'a) b', sockets: [{ inode: 12 }], problem: null }])
  // Lets go of the thread that waits for it.
  await (await open(`${root}/proc/77/cmdline`, 'w')).close()
})

t.test('a pid that is another process by now is gone', async (t) => {
  const root = t.testdir({
    proc: { 77: folder(t, 77, { 4: 12 }, { net: net() }), 78: folder(t, 78, { 5: 12 }, { net: net() }) },
  })
  const { processes } = await readWithChange(root, [77, 78], () =>
    writeFileSync(`${root}/proc/77/stat`, stat(77, { start: 501 })),
  )
  t.match(processes, [
    { pid: 77, startTime: 500, sockets: [], problem: 'the process is gone' },
    { pid: 78, problem: null },
  ])
})

t.test(
  'a socket that is closed before the tables are read is not told as one that no table has',
  async (t) => {
    const root = t.testdir({
      proc: {
        77: folder(t, 77, { 4: 12, 5: 98, 6: 99 }, { net: net() }),
        78: folder(t, 78, {}, { net: net() }),
      },
    })
    const { processes } = await readWithChange(root, [77, 78], () => rmSync(`${root}/proc/77/fd/5`))
    t.match(processes[0], { sockets: [{ inode: 12 }, { inode: 99, kind: 'other' }], problem: null })
    t.equal(processes[0]?.sockets.length, 2)
  },
)

t.test(
  'who may not be read is told with the reason',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: cleanEnv(),
    })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child, 'spawn')
    const asNobody = `
    const { takeSnapshot } = await import(${JSON.stringify(new URL('../../dist/audit/take-snapshot.js', import.meta.url).href)})
    process.setgroups([]); process.setgid(65534); process.setuid(65534)
    const say = async (source) => { const [one] = (await takeSnapshot([${child.pid}], { source })).processes; return one }
    console.log(JSON.stringify(await say('proc')))`
    const asker = spawn(process.execPath, ['--input-type=module', '-e', asNobody], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = await once(asker.stdout, 'data')
    t.match(JSON.parse(String(said)), {
      pid: child.pid,
      ppid: process.pid,
      sockets: [],
      problem: /no permission to read its descriptors \(EACCES\)/,
    })
  },
)

/** Holds many descriptors, so that reading them takes several slices, and one listener. */
const HOLDER = `
  const { openSync } = require('node:fs')
  for (let n = 0; n < 3000; n++) openSync('/dev/null')
  require('node:net').createServer().listen(0, '127.0.0.1', () => process.send('ready'))`

const startHolder = async (t: Test) => {
  const child = spawn(process.execPath, ['-e', HOLDER], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: cleanEnv(),
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

t.test('a process that is killed while it is read is whole or gone, and the others are whole', async (t) => {
  const lasting = await startHolder(t)
  const whole = (await readFromProc([lasting.pid ?? 0])).processes[0]?.sockets
  t.ok(whole?.some(({ state }) => state === 'listen'))
  for (let turns = 0; turns < 8; turns++) {
    const dying = await startHolder(t)
    const exit = once(dying, 'exit')
    const pids = [dying.pid ?? 0, lasting.pid ?? 0]
    const reading = readFromProc(turns % 2 === 0 ? pids : [...pids].reverse())
    for (let at = 0; at < turns; at++) await turn()
    dying.kill('SIGKILL')
    const { processes } = await reading
    const [first, second] = pids.map((pid) => processes.find((process) => process.pid === pid))
    t.ok(first && (isGone(first) || first.problem === null), `after ${turns} turns: ${first?.problem}`)
    t.equal(first && isGone(first) ? first.sockets.length : 0, 0, 'who is gone has none')
    t.same(second?.sockets, whole, `the other one, after ${turns} turns`)
    await exit
  }
})

t.test('a signal ends the reading between two slices', async (t) => {
  const { pid = 0 } = await startHolder(t)
  await t.rejects(readFromProc([pid], { signal: AbortSignal.abort(new Error('enough')) }), /enough/)
  const controller = new AbortController()
  const reading = readFromProc([pid, pid, pid], { signal: controller.signal })
  controller.abort(new Error('enough by now'))
  await t.rejects(reading, /enough by now/)
})

t.test('inodes alone: as the snapshot has them, lowest descriptor first; none of who is gone', async (t) => {
  const { pid = 0 } = await startHolder(t)
  const sockets = (await readFromProc([pid])).processes[0]?.sockets ?? []
  t.same([...(await socketInodesOf(pid))].sort(), sockets.map(({ inode, fd }) => [inode, fd]).sort())
  t.equal((await socketInodesOf(2 ** 22 + 1)).size, 0)
})

t.test('a socket at two descriptors is one inode, at the lower one, and twice in the snapshot', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  await once(socket, 'connect')
  const stdio: StdioOptions = ['ignore', 'ignore', 'ignore', socket, socket]
  const child = spawn('sleep', ['300'], { stdio, env: cleanEnv() })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  const sockets = (await readFromProc([pid])).processes[0]?.sockets ?? []
  t.same(
    sockets.map(({ fd, remote }) => [fd, remote?.port]),
    [
      [3, port],
      [4, port],
    ],
  )
  t.same([...(await socketInodesOf(pid))], [[sockets[0]?.inode, 3]])
  t.ok((await socketInodesOf(process.pid)).has(sockets[0]?.inode ?? 0), 'and it is shared with us')
})
