// supervisor relay with real processes: what callers hand in arrives at the upstream over one connection, whatever becomes
// of the workers meanwhile; and a start that cannot work says so.

import { chmodSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'
import { type CallersResult, callRelay, judgeArrivals, startCallers } from '../support/relay-callers.js'
import { shortFolder } from '../support/relay-parts.js'
import { CLI, runCli } from '../support/run-cli.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const CALLERS = 12

const start = async (t: Test, upstream: { url: string }, args: string[] = []) => {
  const folder = shortFolder(t)
  const socket = join(folder, 's/relay.sock')
  const spool = join(folder, 'spool')
  const places = ['--listen', `unix:${socket}`, '--spool', spool, '--name', 'relay']
  const supervisor = startSupervisor(t, {
    program: [CLI, 'relay', '--to', `feed=${upstream.url}`, ...places, '--min-uptime', '200ms', ...args],
  })
  await supervisor.waitUntilReady()
  return { supervisor, folder, socket, spool }
}

/** How many messages have come, repetitions too. */
const arrived = ({ connections }: RecordingUpstream): number =>
  connections.reduce((sum, { messages }) => sum + messages, 0)

/** Waits until all that was accepted has come, and says what is wrong with it. */
const judge = (upstream: RecordingUpstream, result: CallersResult) =>
  eventually(
    () => judgeArrivals(result, upstream.messages),
    ({ lost }) => lost.length === 0,
    { what: 'all that was accepted' },
  )

/** Most connections that the upstream had at once. */
const mostOpen = ({ records }: RecordingUpstream): number =>
  Math.max(0, ...records.map(({ openNow }) => openNow))

for (const workers of [2, 1]) {
  t.test(`${workers} workers are replaced under load: nothing is refused or lost`, async (t) => {
    const upstream = await recordingUpstream(t)
    const { supervisor, socket } = await start(t, upstream, ['-i', String(workers)])
    const callers = startCallers(socket, CALLERS)
    await upstream.waitFor((seen) => arrived(seen) > 100, { what: '100 messages' })
    const { code, stdout } = await supervisor.cli('reload')
    t.equal(code, 0, stdout)
    const result = await callers.end()
    t.same(result.failures, [], 'no request failed')
    t.same(await judge(upstream, result), { lost: [], repeated: 0, outOfOrder: [] })
    t.equal(mostOpen(upstream), 1, 'one connection at a time')
    t.equal(upstream.upgraded.length, 2, 'one after the other')
    t.comment(`${arrived(upstream)} messages`)
  })
}

t.test('the owner is killed under load: what was accepted arrives, in order', async (t) => {
  const upstream = await recordingUpstream(t)
  const { supervisor, socket } = await start(t, upstream, ['-i', '2'])
  const callers = startCallers(socket, CALLERS)
  for (const round of [1, 2]) {
    const before = arrived(upstream)
    await upstream.waitFor((seen) => arrived(seen) > before + 50, { what: '50 more messages' })
    const { workers } = await supervisor.status()
    const owner = workers.find(({ clients }) =>
      clients.some(({ kind, state }) => kind === 'task' && state === 'running'),
    )
    if (owner?.pid == null) throw new Error(`nobody owns the spool in round ${round}`)
    process.kill(owner.pid, 'SIGKILL')
    await supervisor.waitForStatus(
      (status) =>
        status.workers.every(({ pid }) => pid !== owner.pid) &&
        status.workers.filter(({ state }) => state === 'ready').length === 2,
      'a worker in its place',
    )
  }
  const result = await callers.end()
  t.match(await judge(upstream, result), { lost: [], outOfOrder: [] })
  // How many there were at once is not asked here: of a killed process the upstream may read the end after the beginning
  // of the next.
  t.equal(upstream.open.length, 1, 'one connection at the end')
  t.comment(`${result.accepted.flat().length} accepted; failed: ${JSON.stringify(result.failures)}`)
})

t.test('whoever waits for delivery is answered when the worker drains', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const { supervisor, socket } = await start(t, upstream)
  const waiting = callRelay(socket, { body: 'later', headers: { Prefer: 'wait=60', 'Idempotency-Key': 'a' } })
  await upstream.waitFor(({ records }) => records.some(({ event }) => event === 'refuse'))
  const began = performance.now()
  const reloaded = supervisor.cli('reload')
  const answer = await withDeadline(waiting, { what: 'the answer' })
  t.match(answer, { status: 202, body: { id: 'a', state: 'queued' } })
  t.ok(performance.now() - began < 5_000)
  t.match(await reloaded, { code: 0 })
  upstream.behaviour.refuseWith = null
  await upstream.waitFor(({ messages }) => messages.includes('later'))
  t.same(upstream.messages, ['later'])
})

t.test('socket and folders are for this user and one group', async (t) => {
  const upstream = await recordingUpstream(t)
  const gid = process.getuid?.() === 0 ? 1 : process.getgid?.()
  const { supervisor, folder, socket, spool } = await start(t, upstream, ['--group', String(gid)])
  const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)
  const seen = (): unknown => [socket, join(folder, 's')].map((path) => [modeOf(path), statSync(path).gid])
  t.same(seen(), [
    ['660', gid],
    ['750', gid],
  ])
  t.equal(modeOf(spool), '700')
  const [first] = (await supervisor.status()).workers
  process.kill(first?.pid ?? 0, 'SIGKILL')
  await supervisor.waitForStatus(({ workers }) => {
    const [now] = workers
    return now?.state === 'ready' && now.pid !== first?.pid
  }, 'another worker')
  t.same(seen(), [
    ['660', gid],
    ['750', gid],
  ])
  const status = await supervisor.status()
  t.same(status.relay, { listen: [`unix:${socket}`], spool })
  t.same(
    status.workers.map(({ role }) => role),
    ['relay'],
  )
  await supervisor.end()
  t.throws(() => lstatSync(socket), { code: 'ENOENT' }, 'the socket goes with the relay')
})

t.test('a socket that a killed relay left is taken over; the spools too', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const { supervisor, folder, socket, spool } = await start(t, upstream)
  t.match(await callRelay(socket, { body: 'kept' }), { status: 202 })
  await supervisor.kill()
  t.ok(lstatSync(socket).isSocket())
  upstream.behaviour.refuseWith = null
  const places = ['--listen', `unix:${socket}`, '--spool', spool]
  const again = startSupervisor(t, {
    program: [CLI, 'relay', '--to', `feed=${upstream.url}`, ...places],
    home: join(folder, 'run'),
  })
  await upstream.waitFor(({ messages }) => messages.includes('kept'))
  await again.waitUntilReady()
  t.match(await callRelay(socket, { method: 'GET', path: '/v1' }), {
    status: 200,
    body: { clients: ['feed'] },
  })
})

t.test('a second relay on the same socket or the same spools is refused', async (t) => {
  const upstream = await recordingUpstream(t)
  const { folder, socket, spool } = await start(t, upstream)
  const other = (places: string[]) =>
    runCli(['relay', '--to', `feed=${upstream.url}`, '--name', 'other', ...places], {
      home: join(folder, 'other'),
    })
  const [sameSocket, sameSpool] = await Promise.all([
    other(['--listen', `unix:${socket}`, '--spool', join(folder, 'spool-2')]),
    other(['--listen', `unix:${join(folder, 's2/relay.sock')}`, '--spool', spool]),
  ])
  t.match(sameSocket, {
    code: 78,
    stderr: /^supervisor: socket of the relay .*: a process listens on it; stop/,
  })
  t.match(sameSpool, { code: 78, stderr: /^supervisor: spool folder .*: is used by another relay that runs/ })
  for (const { stderr } of [sameSocket, sameSpool]) t.equal(stderr.trim().split('\n').length, 1, stderr)
  t.match(await callRelay(socket, { body: 'x', headers: { Prefer: 'wait=10' } }), { status: 200 })
})

const listening = (t: Test, port: number): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1', () => resolve(server))
    t.teardown(() => server.close())
  })

t.test('mistakes end the start with 78 and one line', async (t) => {
  const folder = shortFolder(t)
  const file = (name: string, text: string, mode = 0o600): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
  mkdirSync(join(folder, 'open'))
  chmodSync(join(folder, 'open'), 0o777)
  mkdirSync(join(folder, 'real'), { mode: 0o700 })
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  const token = file('token', 'abcdefgh12345678\n')
  const port = await freePort()
  await listening(t, port)
  const to = ['--to', 'wss://feed.example/in']
  const cases: [args: string[], message: RegExp][] = [
    [[], /^--to: is missing; write/],
    [['--to', 'feed=http://feed.example'], /^--to: "http:" is not a WebSocket URL/],
    [['--to', 'wss://ann:hidden@feed.example'], /^--to: "\(not shown\)" holds a user or password/],
    [[...to, ...to], /^--to: "upstream" names two upstreams/],
    [[...to, '--listen', '127.0.0.1:8090'], /^--listen: .* name a file with a token \(--token-file\)/],
    [[...to, '--max-age', 'soon'], /^--max-age: "soon" is not a duration/],
    [[...to, '--max-messages', 'many'], /^--max-messages: "many" is not allowed/],
    [[...to, '--header-file', `other=${token}`], /^--header-file: "other" names no upstream/],
    [[...to, '--header-file', token], /^--header-file: .*:1" is not a header/],
    [[...to, '--token-file', file('short', 'x\n')], /^--token-file: .* a token of 1 characters/],
    [[...to, '-i', '0'], /^--workers: "0" would start no worker/],
    [
      [...to, '--spool', join(folder, 'open')],
      /^spool folder .*: is open to others \(mode 0777\); run chmod 700/,
    ],
    [[...to, '--spool', join(folder, 'link')], /^spool folder .*: is a symlink/],
    [
      [...to, '--listen', `unix:${join(folder, 'open/s.sock')}`],
      /^socket of the relay .*others may write to its folder/,
    ],
    [
      [...to, '--listen', `127.0.0.1:${port}`, '--token-file', token],
      /^relay 127\.0\.0\.1:\d+: another program listens there/,
    ],
  ]
  const spool = ['--spool', join(folder, 'spool')]
  // Two at a time: as many as there are cores.
  for (let at = 0; at < cases.length; at += 2) {
    await Promise.all(
      cases.slice(at, at + 2).map(async ([args, message], index) => {
        const places = args.includes('--spool') ? [] : spool
        const home = join(folder, `run-${index}`)
        const { code, stderr } = await runCli(['relay', ...places, ...args], { home })
        const text = stderr.replace(/^supervisor: /, '').trim()
        t.match(text, message)
        t.same([code, text.split('\n').length], [78, 1], text)
        t.notMatch(text, /hidden/)
      }),
    )
  }
})
