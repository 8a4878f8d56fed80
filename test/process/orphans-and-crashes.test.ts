// What a kill -9 leaves, of the supervisor and of a worker; and how workers end by themselves.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { processRow } from '../support/process-tree.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FIXTURES = 'test/process/fixtures'

const start = async (
  t: Test,
  app = 'http-and-feed.js',
  options: { home?: string; args?: string[]; port?: number } = {},
) => {
  const upstream = await recordingUpstream(t)
  const port = options.port ?? (await freePort())
  const supervisor = startSupervisor(t, {
    args: [join(FIXTURES, app), '--workers', '2', '--name', 'orphans', ...(options.args ?? [])],
    env: { UPSTREAM: upstream.url, PORT: String(port) },
    ...(options.home === undefined ? {} : { home: options.home }),
  })
  const { workers } = await supervisor.waitUntilReady()
  const pids = workers.map(({ pid }) => pid ?? 0)
  return { upstream, port, supervisor, pids }
}

const isGone = (pid: number): boolean => {
  const row = processRow(pid)
  return row === null || row.state === 'Z'
}

t.test(
  'kill -9 of the supervisor: its workers close their connections and leave by themselves',
  async (t) => {
    const { upstream, supervisor, pids } = await start(t)
    await upstream.waitFor(({ open }) => open.length === 2)
    supervisor.signal('SIGKILL')
    await eventually(
      () => pids.filter((pid) => !isGone(pid)),
      (left) => left.length === 0,
      {
        what: 'the workers to leave',
        timeout: 2_000,
      },
    )
    await upstream.waitFor(({ connected }) => connected.length === 0)
    t.same(
      upstream.upgraded.map(({ code }) => code),
      [1001, 1001],
    )
  },
)

t.test(
  'the next start ends a worker that was stopped when its supervisor was killed, and takes the name over',
  async (t) => {
    const first = await start(t)
    const { home } = first.supervisor
    const [stopped = 0] = first.pids
    process.kill(stopped, 'SIGSTOP')
    t.teardown(() => isGone(stopped) || process.kill(stopped, 'SIGKILL'))
    first.supervisor.signal('SIGKILL')
    await first.supervisor.exited
    t.ok(first.supervisor.filesLeft().length > 0, 'socket and lock are left behind')
    // What a kill leaves between the writing of a record and its renaming; and what only looks like it.
    const draft = join(home, 'orphans.json.0badc0de')
    const other = join(home, 'orphans.json.backup')
    for (const file of [draft, other]) writeFileSync(file, '{')
    const second = await start(t, 'http-and-feed.js', { home, port: first.port })
    t.ok(isGone(stopped))
    t.same([draft, other].filter(existsSync), [other])
    t.ok(second.supervisor.lines.some((line) => line.includes(`killed worker ${stopped}`)))
    await first.upstream.waitFor(({ connected }) => connected.length === 0)
  },
)

t.test('a recorded pid that belongs to another process by now is not touched', async (t) => {
  // Not t.testdir(): the path of a socket must stay short.
  const home = mkdtempSync(join(tmpdir(), 'forksafe-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const decoy = { pid: process.pid, startTime: 1 }
  const record = {
    pid: 2 ** 22 - 1,
    startTime: 1,
    name: 'orphans',
    state: 'running',
    goneBy: null,
    workers: [decoy],
  }
  writeFileSync(join(home, 'orphans.json'), JSON.stringify(record), { mode: 0o600 })
  const { supervisor } = await start(t, 'plain-http.js', { home })
  t.notMatch(supervisor.lines.join('\n'), /killed worker/)
  t.match(JSON.parse(readFileSync(join(home, 'orphans.json'), 'utf8')), {
    pid: supervisor.pid,
    name: 'orphans',
  })
})

t.test('kill -9 of a worker: it is replaced, and the others do not notice', async (t) => {
  const { port, supervisor, pids, upstream } = await start(t)
  const [victim = 0, other = 0] = pids
  process.kill(victim, 'SIGKILL')
  const { workers } = await supervisor.waitForStatus(
    ({ workers }) =>
      workers.length === 2 && workers.every(({ state, pid }) => state === 'ready' && pid !== victim),
    'a replacement',
  )
  t.equal(workers[1]?.pid, other)
  t.match(workers[0], { slot: 0, restarts: 1, lastExit: { signal: 'SIGKILL' } })
  t.equal(workers[1]?.restarts, 0)
  await upstream.waitFor(({ open }) => open.length === 2)
  t.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /^\d+$/)
})

t.test(
  'workers that are told to stop while their supervisor is stopped say goodbye all the same',
  async (t) => {
    const { upstream, supervisor, pids } = await start(t)
    await upstream.waitFor(({ open }) => open.length === 2)
    supervisor.signal('SIGSTOP')
    t.teardown(() => supervisor.signal('SIGCONT'))
    for (const pid of pids) process.kill(pid, 'SIGTERM')
    await upstream.waitFor(({ connected }) => connected.length === 0)
    t.same(
      upstream.upgraded.map(({ code }) => code),
      [1001, 1001],
    )
  },
)

t.test('a stop signal to one worker alone: replaced first, drained then, and no request fails', async (t) => {
  const { port, supervisor, pids } = await start(t, 'own-sigterm-server-close.js')
  const load = startLoad({ port, clients: { keepalive: 5, close: 5, slow: 5, slowReused: 5 } })
  await load.finished(200)
  const [victim = 0, other = 0] = pids
  process.kill(victim, 'SIGTERM')
  await supervisor.waitForStatus(
    ({ workers }) =>
      workers.length === 2 && workers.every(({ state, pid }) => state === 'ready' && pid !== victim),
    'a replacement and the end of the old one',
  )
  await load.finished(600)
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  t.ok(supervisor.members().some(({ pid }) => pid === other))
})

for (const [name, how] of [
  ['process.exit()', 'exit'],
  ['an uncaught error', 'throw'],
  ['an unhandled rejection', 'reject'],
] as const) {
  t.test(`a worker that ends by ${name} says goodbye to the upstream and is replaced`, async (t) => {
    const { upstream, supervisor, port } = await start(t, 'ends-on-request.js')
    await upstream.waitFor(({ open }) => open.length === 2)
    await fetch(`http://127.0.0.1:${port}/${how}`).catch(() => {})
    await upstream.waitFor(({ upgraded, open }) => upgraded.length === 3 && open.length === 2)
    t.equal(upstream.upgraded.find(({ goneAt }) => goneAt !== null)?.code, 1001)
    const { workers } = await supervisor.waitUntilReady()
    const ended = workers.find(({ restarts }) => restarts === 1)
    t.match(ended?.lastExit?.reason, how === 'exit' ? /exited with code 7/ : /exited with code 1.*boom/)
  })
}

t.test('a loop of crashes is slowed down, the other slot goes on, and status names the reason', async (t) => {
  const { supervisor, pids } = await start(t, 'slot-0-crashes-after-first-start.js')
  const [victim = 0, other = 0] = pids
  process.kill(victim, 'SIGKILL')
  const { workers } = await supervisor.waitForStatus(
    ({ workers }) => workers.some(({ state, restarts }) => state === 'waiting' && restarts >= 3),
    'slot 0 to wait',
  )
  t.match(workers[0], { state: 'waiting', pid: null, lastExit: { code: 1, reason: /boom at boot/ } })
  t.ok((workers[0]?.nextStartAt ?? 0) > 0)
  t.match(workers[1], { state: 'ready', pid: other })
})

t.test('a runtime folder that vanishes costs the record, not the service', async (t) => {
  const { supervisor, port, pids } = await start(t, 'plain-http.js')
  rmSync(supervisor.home, { recursive: true, force: true })
  process.kill(pids[0] ?? 0, 'SIGKILL')
  await supervisor.waitForLine(/worker 0 ready.*generation 1/, { after: supervisor.lines.length })
  t.equal(supervisor.lines.filter((line) => /record of this run cannot be written/.test(line)).length, 1)
  t.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /^\d+$/)
  supervisor.signal('SIGTERM')
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})
