// One supervisor runs per name: whoever comes second, at the same moment or while the first is going, and whatever a
// killed one has left behind.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { isZombie, processRow } from '../support/process-tree.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FLAGS = ['--min-uptime', '100ms', '--stop-timeout', '5s', '--name', 'api']
const APP = ['test/process/fixtures/plain-http.js', ...FLAGS]

const startApi = (t: Test, port: number, home?: string): SupervisorProcess =>
  startSupervisor(t, { args: APP, env: { PORT: String(port) }, ...(home === undefined ? {} : { home }) })

t.test('a second one ends at once with 8 and names the first', async (t) => {
  const port = await freePort()
  const first = startApi(t, port)
  const before = await first.waitUntilReady()
  const second = startApi(t, port, first.home)
  t.same(await second.exited, { code: 8, signal: null })
  await second.waitForLine(
    new RegExp(
      `^supervisor: a supervisor named api is already running \\(pid ${first.pid}\\); use 'supervisor reload --name api', or another --name$`,
    ),
  )
  t.equal(second.lines.length, 1, second.lastLines())
  t.same(
    (await first.status()).workers.map(({ pid }) => pid),
    before.workers.map(({ pid }) => pid),
  )
  t.equal((await first.cli('stop')).code, 0)
  await first.exited
})

t.test('of many that meet what a killed one left, exactly one wins, every time', async (t) => {
  const port = await freePort()
  let previous = startApi(t, port)
  const { home } = previous
  await previous.waitUntilReady()
  for (let round = 0; round < 3; round++) {
    const [worker] = (await previous.status()).workers
    previous.signal('SIGKILL')
    await previous.exited
    t.ok(existsSync(join(home, 'api.sock')), 'its socket is left')
    const contenders = Array.from({ length: 8 }, () => startApi(t, port, home))
    const winner = await eventually(
      () => contenders.filter(({ exit }) => exit === null),
      ({ length }) => length <= 1,
      { what: 'all but one to have given up', timeout: 20_000 },
    )
    t.equal(winner.length, 1, `round ${round}`)
    t.same(
      contenders.flatMap(({ exit }) => (exit === null ? [] : [exit.code])),
      Array(7).fill(8),
    )
    previous = winner[0] ?? previous
    const { pid } = await previous.waitUntilReady()
    t.equal(pid, previous.pid)
    await eventually(
      () => processRow(worker?.pid ?? 0),
      (row) => row === null || isZombie(row),
      { what: 'the worker of the killed one to be gone', timeout: 2_000 },
    )
  }
  t.equal((await previous.cli('stop')).code, 0)
  await previous.exited
})

t.test('one that is started while the first is stopping waits, and then runs', async (t) => {
  const port = await freePort()
  const first = startApi(t, port)
  await first.waitUntilReady()
  const slow = askPid(port, '/?ms=1500')
  await eventually(
    async () => (await first.status()).workers[0]?.state,
    (state) => state === 'ready',
    { what: 'the worker to be ready' },
  )
  const after = first.lines.length
  first.signal('SIGTERM')
  await first.waitForLine(/stopping/, { after })
  const second = startApi(t, port, first.home)
  const { pid } = await second.waitForStatus(({ pid }) => pid === second.pid, 'the second to run')
  t.equal(pid, second.pid)
  t.ok(await slow, 'the request in flight was answered')
  t.same(first.exit, { code: 0, signal: null })
  await second.waitUntilReady()
  t.ok(await askPid(port))
  t.equal((await second.cli('stop')).code, 0)
  await second.exited
})

t.test('one that was stopped (SIGSTOP) keeps its name', async (t) => {
  const port = await freePort()
  const first = startApi(t, port)
  await first.waitUntilReady()
  first.signal('SIGSTOP')
  const second = startApi(t, port, first.home)
  t.same(await second.exited, { code: 8, signal: null })
  const [status, reload] = await Promise.all([first.cli('status'), first.cli('reload')])
  t.same([status.code, reload.code], [4, 4])
  first.signal('SIGCONT')
  await first.waitUntilReady()
  t.equal((await first.cli('stop')).code, 0)
  await first.exited
})
