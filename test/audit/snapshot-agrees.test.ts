// On a still tree the snapshot says what `ss` and `lsof` say beside it: real sockets of every kind, counted and compared
// one by one. Both sources are asked; lsof is what other systems have.

import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import { processTree } from '../../src/audit/process-tree.js'
import type { HeldSocket, ProcessSockets, Snapshot } from '../../src/audit/socket-table.js'
import { takeSnapshot } from '../../src/audit/take-snapshot.js'
import { socketFolder } from '../control/socket-folder.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { processRow } from '../support/process-tree.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()
/** Others on the machine may have many. */
const MOST_OUTPUT = 64 * 1024 * 1024
const run = (command: string, args: string[]) =>
  promisify(execFile)(command, args, { maxBuffer: MOST_OUTPUT })
const needsSs = needsPackage('iproute2', '/usr/bin/ss')
const needsLsof = needsPackage('lsof', '/usr/bin/lsof')

const folder = socketFolder(t)
const child = spawn(process.execPath, ['test/audit/fixtures/sockets-of-every-kind.js', folder], {
  env: cleanEnv(),
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
t.teardown(async () => {
  const gone = once(child, 'exit')
  child.disconnect()
  await withDeadline(gone, { what: 'the tree to end' })
})
const [told] = await withDeadline(once(child, 'message'), { what: 'all sockets to be there' })
const root = child.pid ?? 0
const pids = [root, told.child]

const heldIn = ({ processes }: Pick<Snapshot, 'processes'>): (HeldSocket & { pid: number })[] =>
  processes.flatMap(({ pid, sockets }) => sockets.map((socket) => ({ ...socket, pid })))

const countBy = <Item>(items: readonly Item[], keyOf: (item: Item) => string): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const key of items.map(keyOf).sort()) counts[key] = (counts[key] ?? 0) + 1
  return counts
}

t.test('the tree is found, and who its processes are', async (t) => {
  t.same(await processTree(root), pids)
  const { processes, source } = await takeSnapshot(pids, { source: 'proc' })
  t.equal(source, 'proc')
  t.match(processes, [
    { pid: root, ppid: process.pid, problem: null, command: /node .*sockets-of-every-kind\.js/ },
    { pid: told.child, ppid: root, problem: null },
  ])
  for (const { startTime } of processes) t.type(startTime, 'number')
})

t.test('every kind and state is there, with its addresses', async (t) => {
  const { processes } = await takeSnapshot(pids, { source: 'proc' })
  const [first] = processes as [ProcessSockets]
  const has = (wanted: Partial<Record<keyof HeldSocket, unknown>>, what: string) =>
    t.ok(
      first.sockets.some((socket) =>
        Object.entries(wanted).every(([key, value]) => same(socket, key, value)),
      ),
      what,
    )
  const same = (socket: object, key: string, value: unknown): boolean =>
    JSON.stringify(Reflect.get(socket, key)) === JSON.stringify(value)
  const { port, oldPort } = told
  has({ kind: 'tcp', state: 'listen', local: { address: '::', port }, remote: null }, 'a listener on ::')
  has({ kind: 'tcp', state: 'listen', local: { address: '127.0.0.1', port: oldPort } }, 'one on IPv4')
  has({ kind: 'tcp', state: 'established', remote: { address: '::1', port } }, 'a connection over IPv6')
  has({ state: 'established', local: { address: '127.0.0.1', port } }, 'an accepted one that is IPv4 in IPv6')
  has({ kind: 'tcp', state: 'close-wait', remote: { address: '127.0.0.1', port: oldPort } }, 'close-wait')
  has({ kind: 'tcp', state: 'fin-wait-2', local: { address: '127.0.0.1', port: oldPort } }, 'fin-wait-2')
  has({ kind: 'unix', state: 'listen', path: `${folder}/it is.sock` }, 'a path with a space')
  has({ kind: 'unix', state: 'listen', path: `@forksafe-test-${root}` }, 'an abstract name')
  has({ kind: 'unix', state: 'established', path: `${folder}/it is.sock` }, 'accepted at a path')
  has({ kind: 'unix', state: 'established', path: null }, 'one without a name')
  has({ kind: 'other', state: 'close', local: null, remote: null }, 'one that was reset')
  for (const address of ['127.0.0.1', '::1']) {
    const udp = first.sockets.filter((socket) => socket.kind === 'udp' && socket.local?.address === address)
    t.same(
      countBy(udp, ({ state }) => state),
      { bound: 1, connected: 1 },
      `udp of ${address}`,
    )
  }
  t.same(
    first.sockets.map(({ fd }) => fd),
    first.sockets.map(({ fd }) => fd).sort((one, other) => one - other),
    'in the order of descriptors',
  )
})

t.test('a connection in time-wait is told as nobody’s', async (t) => {
  const { unowned } = await takeSnapshot(pids, { source: 'proc' })
  t.match(
    unowned.filter(({ local, remote }) => local?.port === told.timeWait && remote?.port === told.oldPort),
    [{ inode: 0, state: 'time-wait', remote: { address: '127.0.0.1', port: told.oldPort } }],
  )
})

const LISTENS_AND_STOPS = `
  require('net').createServer().listen(0, '127.0.0.1', function () {
    process.send(this.address().port, () => process.kill(process.pid, 'SIGSTOP'))
  })`

/** What `ss` prints, one for each descriptor of the tree. */
const rowsOfSs = async (flag: '-t' | '-u' | '-x') => {
  const { stdout } = await run('/usr/bin/ss', ['-H', '-n', '-a', '-p', flag])
  return stdout.split('\n').flatMap((line) => {
    const state = line.trim().split(/\s+/)[flag === '-x' ? 1 : 0] ?? ''
    const holders = [...line.matchAll(/pid=(\d+),fd=(\d+)/g)].map(([, pid, fd]) => ({
      pid: Number(pid),
      fd: Number(fd),
    }))
    return holders.filter(({ pid }) => pids.includes(pid)).map((holder) => ({ ...holder, state }))
  })
}

/** As `ss` writes what we write otherwise. */
const STATES_OF_SS: Record<string, Record<string, string>> = {
  tcp: { established: 'ESTAB', listen: 'LISTEN', 'close-wait': 'CLOSE-WAIT', 'fin-wait-2': 'FIN-WAIT-2' },
  udp: { bound: 'UNCONN', connected: 'ESTAB' },
  unix: { established: 'ESTAB', listen: 'LISTEN', unconnected: 'UNCONN' },
}

t.test('ss lists the same descriptors in the same states', needsSs, async (t) => {
  const held = heldIn(await takeSnapshot(pids, { source: 'proc' }))
  for (const [flag, kind] of [
    ['-t', 'tcp'],
    ['-u', 'udp'],
    ['-x', 'unix'],
  ] as const) {
    const ours = held
      .filter((socket) => socket.kind === kind)
      .map(({ pid, fd, state }) => `${pid} ${fd} ${STATES_OF_SS[kind]?.[state]}`)
    const theirs = (await rowsOfSs(flag)).map(({ pid, fd, state }) => `${pid} ${fd} ${state}`)
    t.ok(ours.length > 0, `there are sockets of ${kind}`)
    t.same(ours.sort(), theirs.sort(), kind)
  }
})

t.test('ss counts the same that nobody holds', needsSs, async (t) => {
  const filter = [
    '-H',
    '-n',
    '-t',
    'state',
    'time-wait',
    'sport',
    '=',
    `:${told.timeWait}`,
    'dport',
    '=',
    `:${told.oldPort}`,
  ]
  const { stdout } = await run('/usr/bin/ss', filter)
  t.equal(stdout.trim().split('\n').length, 1, stdout)
})

t.test('lsof lists as many', needsLsof, async (t) => {
  const held = heldIn(await takeSnapshot(pids, { source: 'proc' }))
  for (const [flag, kinds] of [
    ['-iTCP', ['tcp']],
    ['-iUDP', ['udp']],
    ['-U', ['unix']],
  ] as const) {
    const { stdout } = await run('/usr/bin/lsof', ['-n', '-P', '-w', '-a', '-p', pids.join(','), flag])
    const lines = stdout.trim().split('\n').slice(1)
    t.equal(held.filter(({ kind }) => kinds.some((one) => one === kind)).length, lines.length, flag)
  }
})

t.test('lsof as a source says the same of each', needsLsof, async (t) => {
  const fromProc = await takeSnapshot(pids, { source: 'proc' })
  const fromLsof = await takeSnapshot(pids, { source: 'lsof' })
  t.equal(fromLsof.source, 'lsof')
  t.same(fromLsof.unowned, [], 'it lists what is held')
  // lsof cuts a path at its first space.
  const cut = (socket: HeldSocket) => ({ ...socket, path: socket.path?.split(' ')[0] ?? null })
  t.same(heldIn(fromLsof).map(cut), heldIn(fromProc).map(cut))
  t.match(
    fromLsof.processes.map(({ pid, ppid, startTime, problem }) => ({ pid, ppid, startTime, problem })),
    fromProc.processes.map(({ pid, ppid, startTime, problem }) => ({ pid, ppid, startTime, problem })),
  )
})

t.test('FORKSAFE_AUDIT_SOURCE=lsof has it asked where there is a /proc', needsLsof, async (t) => {
  t.teardown(() => delete process.env.FORKSAFE_AUDIT_SOURCE)
  process.env.FORKSAFE_AUDIT_SOURCE = 'lsof'
  t.equal((await takeSnapshot([root])).source, 'lsof')
  t.same(await processTree(root), pids, 'the tree comes from ps')
  process.env.FORKSAFE_AUDIT_SOURCE = 'elsewhere'
  await t.rejects(takeSnapshot([root]), {
    code: 'FORKSAFE_ERR_OPTION_INVALID',
    message: /FORKSAFE_AUDIT_SOURCE: "elsewhere" .* use proc or lsof/,
  })
})

t.test('what led to lsof itself is not among our own sockets', needsLsof, async (t) => {
  const before = heldIn(await takeSnapshot([process.pid], { source: 'proc' }))
  const withLsof = heldIn(await takeSnapshot([process.pid], { source: 'lsof' }))
  t.same(
    withLsof.map(({ inode }) => inode),
    before.map(({ inode }) => inode),
  )
})

t.test('a snapshot leaves nothing open', async (t) => {
  const before = heldIn(await takeSnapshot([process.pid], { source: 'proc' })).length
  for (let turn = 0; turn < 3; turn++) await takeSnapshot(pids, { source: 'proc' })
  await eventually(
    async () => heldIn(await takeSnapshot([process.pid], { source: 'proc' })).length,
    (now) => now === before,
    { what: 'the sockets that were there before' },
  )
  t.pass()
})

const canUnshare = spawnSync('unshare', ['--net', 'true']).status === 0

t.test(
  'a process in a network namespace of its own is joined with the tables of that one',
  canUnshare ? {} : { skip: 'unshare is missing, or not allowed' },
  async (t) => {
    const listens = `require('net').createServer().listen(0, '0.0.0.0', function () { process.send(this.address().port) })`
    const away = spawn('unshare', ['--net', process.execPath, '-e', listens], {
      env: cleanEnv(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    t.teardown(() => away.kill('SIGKILL'))
    const [port] = await withDeadline(once(away, 'message'), { what: 'a listener in another namespace' })
    const { processes } = await takeSnapshot([root, away.pid ?? 0], { source: 'proc' })
    t.ok(processes[1]?.sockets.some(({ state, local }) => state === 'listen' && local?.port === port))
    t.ok(processes[0]?.sockets.some(({ state }) => state === 'close-wait'))
  },
)

t.test('a connection that waits to be accepted is held by one end alone', async (t) => {
  const stopped = spawn(process.execPath, ['-e', LISTENS_AND_STOPS], {
    env: cleanEnv(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  t.teardown(() => stopped.kill('SIGKILL'))
  const [port] = await withDeadline(once(stopped, 'message'), { what: 'a listener' })
  await eventually(
    () => processRow(stopped.pid ?? 0)?.state,
    (state) => state === 'T',
    { what: 'the listener to have stopped itself' },
  )
  const client = connect(port, '127.0.0.1')
  t.teardown(() => client.destroy())
  await once(client, 'connect')
  const { processes, unowned } = await takeSnapshot([stopped.pid ?? 0, process.pid], { source: 'proc' })
  const waiting = unowned.filter(
    ({ local, remote }) => local?.port === port && remote?.port === client.localPort,
  )
  t.match(waiting, [{ inode: 0, state: 'established' }])
  t.ok(processes[1]?.sockets.some(({ remote }) => remote?.port === port))
})
