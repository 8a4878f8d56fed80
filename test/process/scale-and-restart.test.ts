// The number of workers changed live, by command and by signal, and a restart of all at once: both under load.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FLAGS = ['--min-uptime', '100ms', '--stop-timeout', '5s']
const CLIENTS = { keepalive: 10, close: 5, slow: 5, slowReused: 5 }

t.test('scale up and down under load: no request fails, and what runs is what was asked for', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/plain-http.js', '-i', '2', ...FLAGS],
    env: { PORT: String(port) },
  })
  const before = await supervisor.waitUntilReady()
  const load = startLoad({ port, clients: CLIENTS })
  let requests = 0
  for (const [asked, runs] of [
    ['4', 4],
    ['-3', 1],
    ['+1', 2],
  ] as const) {
    const { code, stdout, stderr } = await supervisor.cli('scale', asked)
    t.equal(code, 0, stderr)
    t.match(stdout.trim().split('\n').at(-1), new RegExp(`^${runs} workers? runs? \\(\\d before\\)$`))
    const { workers } = await supervisor.status()
    t.same(
      workers.map(({ slot, state }) => [slot, state]),
      Array.from({ length: runs }, (_, slot) => [slot, 'ready']),
    )
    requests += 500
    await load.finished(requests)
  }
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  const after = await supervisor.status()
  t.equal(after.workers[0]?.pid, before.workers[0]?.pid, 'the first worker never noticed')
  t.equal(after.generation, 1)
})

t.test('a scaling that cannot be had is given up with exit code 5, and the others go on', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/slot-1-throws.js', '-i', '1', ...FLAGS],
    env: { PORT: String(port) },
  })
  const before = await supervisor.waitUntilReady()
  const { code, stderr } = await supervisor.cli('scale', '3')
  t.equal(code, 5)
  t.match(stderr, /not scaled to 3, 1 worker as before: worker 1 \(pid \d+\) exited with code 1/)
  const { workers } = await supervisor.status()
  t.match(workers, [{ slot: 0, pid: before.workers[0]?.pid, state: 'ready' }])
  t.equal(workers.length, 1)
})

t.test('SIGTTIN runs one worker more, SIGTTOU one fewer, never fewer than one', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/plain-http.js', '-i', '1', ...FLAGS],
    env: { PORT: String(port) },
  })
  await supervisor.waitUntilReady()
  supervisor.signal('SIGTTIN')
  await supervisor.waitForLine(/2 workers after .*, 1 before/)
  supervisor.signal('SIGTTOU')
  await supervisor.waitForLine(/1 worker after .*, 2 before/)
  supervisor.signal('SIGTTOU')
  await supervisor.waitForLine(/1 worker after .*, 1 before/)
  t.equal((await supervisor.status()).workers.length, 1)
})

t.test('restart never runs two generations side by side and states the gap', async (t) => {
  const port = await freePort()
  const record = `${t.testdir({})}/alive`
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/records-its-life.js', '-i', '2', ...FLAGS],
    env: { PORT: String(port), RECORD: record },
  })
  await supervisor.waitUntilReady()
  const load = startLoad({ port, clients: CLIENTS })
  await load.finished(300)
  const { code, stdout, stderr } = await supervisor.cli('restart')
  t.equal(code, 0, stderr)
  const [, gap] =
    /2 workers restarted with generation 2; no worker took new work for ([\d.]+) s\n$/.exec(stdout) ?? []
  t.ok(Number(gap) > 0 && Number(gap) < 10, `a gap of ${gap} s`)
  await load.finished(load.result.requests + 300)
  const { byKind } = await load.stop()
  // While nobody listens the kernel refuses; what was on its way to a listener that closes is reset or ended by Node.
  // A timeout would be a connection that hangs.
  for (const kind of Object.keys(byKind))
    t.match(kind, /ECONNREFUSED|ECONNRESET|socket hang up/, `${byKind[kind]} requests: ${kind}`)
  const lives = readFileSync(record, 'utf8').trim().split('\n')
  t.same(
    lives.map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['begun 1', 'begun 1', 'ended 1', 'ended 1', 'begun 2', 'begun 2'],
  )
})

t.test('a restart to a broken release starts the one before again', async (t) => {
  const port = await freePort()
  const folder = t.testdir({
    'app.cjs': "require('http').createServer((q, r) => r.end('good')).listen(process.env.PORT)",
  })
  const supervisor = startSupervisor(t, {
    args: ['app.cjs', '-i', '2', '--name', 'app', ...FLAGS],
    cwd: folder,
    env: { PORT: String(port), BROKEN: '' },
  })
  await supervisor.waitUntilReady()
  const { writeFileSync } = await import('node:fs')
  // The code of a generation is what lies there when it starts; only its environment can make the old one good again.
  writeFileSync(
    `${folder}/app.cjs`,
    "if (process.env.SUPERVISOR_GENERATION === '2') throw new Error('no such table')\n" +
      "require('http').createServer((q, r) => r.end('good')).listen(process.env.PORT)",
  )
  const { code, stderr } = await supervisor.cli('restart')
  t.equal(code, 5)
  t.match(stderr, /generation 2 could not be started, generation 1 was started again .*no such table/)
  const { workers } = await supervisor.waitUntilReady()
  t.same(
    workers.map(({ generation }) => generation),
    [1, 1],
  )
})
