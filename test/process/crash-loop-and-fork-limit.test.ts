// A worker that cannot live and a kernel that gives no process: tried again ever more slowly, named, and nobody else's
// business.

import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FLAGS = ['-i', '2', '--min-uptime', '100ms', '--stop-timeout', '5s']

t.test('a worker that crashes in a loop is tried ever more slowly until it can live', async (t) => {
  const port = await freePort()
  const crash = join(t.testdir({}), 'crash')
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/slot-0-throws-while-file-exists.js', ...FLAGS],
    env: { PORT: String(port), CRASH: crash },
  })
  const before = await supervisor.waitUntilReady()
  writeFileSync(crash, '')
  process.kill(before.workers[0]?.pid ?? 0, 'SIGKILL')
  const looping = await supervisor.waitForStatus(
    ({ workers }) => workers[0]?.state === 'waiting' && workers[0].restarts >= 4,
    'slot 0 to wait after four restarts',
    20_000,
  )
  const [crashed, other] = looping.workers
  t.match(crashed?.lastExit, {
    code: 1,
    reason: /^exited with code 1 before it was ready: Error: no luck today$/,
  })
  t.ok((crashed?.nextStartAt ?? 0) > 0)
  t.match(other, { pid: before.workers[1]?.pid, restarts: 0, state: 'ready' })
  t.equal(await askPid(port), other?.pid)
  t.match((await supervisor.cli('status')).stdout, /no luck today/)
  rmSync(crash)
  await supervisor.waitUntilReady(20_000)
})

t.test('workers that throw at boot, die a little later, or every third time: bounded forks', async (t) => {
  const limits = ['--restart', 'intensity=4,period=60s']
  const kinds: [kind: string, env: NodeJS.ProcessEnv][] = [
    ['throws at boot', { DIES: 'boot' }],
    ['dies 1.5 s after it was ready', { DIES: '1500' }],
    ['dies at every third start', { DIES: 'third' }],
  ]
  await Promise.all(
    kinds.map(async ([kind, env]) => {
      const port = await freePort()
      const starts = join(t.testdir({}), `starts-${env.DIES}`)
      writeFileSync(starts, '')
      const supervisor = startSupervisor(t, {
        args: ['test/process/fixtures/slot-0-dies.js', ...FLAGS, ...limits, '--name', `dies-${env.DIES}`],
        env: { PORT: String(port), STARTS: starts, ...env },
      })
      const other = await supervisor.waitForStatus(({ workers }) => workers[1]?.state === 'ready', 'slot 1')
      if (env.DIES === 'third') {
        await supervisor.waitUntilReady(20_000)
        return t.match(readFileSync(starts, 'utf8'), /^(.\n){3,5}$/, kind)
      }
      const { workers } = await supervisor.waitForStatus(
        ({ workers: [first] }) => first?.state === 'waiting' && first.restarts === 5,
        `${kind}: slot 0 to wait for room`,
        40_000,
      )
      t.match(workers[0]?.lastExit?.reason, /exited with code 1/, kind)
      const wait = (workers[0]?.nextStartAt ?? 0) - Date.now()
      t.ok(wait > 20_000, `${kind}: the fifth restart within a minute waits, ${wait} ms`)
      t.equal(readFileSync(starts, 'utf8').length / 2, 5, `${kind}: five starts`)
      t.match(workers[1], { pid: other.workers[1]?.pid, restarts: 0, state: 'ready' })
      t.match((await supervisor.cli('status')).stdout, /waiting \d+\.\d s.*slot 0 last: exited with code 1/s)
    }),
  )
})

t.test('with onExceeded=exit the supervisor ends with code 7 and says why', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/slot-1-throws.js', ...FLAGS, '--restart', 'intensity=2,onExceeded=exit'],
    env: { PORT: String(port) },
  })
  t.same(await supervisor.leavesNothing(), { code: 7, signal: null })
  t.match(supervisor.lastLines(), /stopping \(worker 1 crashed 3 times within 1m, last: exited with code 1/)
})

const PIDS = '/sys/fs/cgroup/pids'
const hasPidsLimit = process.getuid?.() === 0 && existsSync(join(PIDS, 'cgroup.procs'))

t.test(
  'at the limit of processes a replacement is tried again, and the reason named',
  hasPidsLimit ? {} : { skip: 'needs root and a pids cgroup (v1)' },
  async (t) => {
    const port = await freePort()
    const group = join(PIDS, `forksafe-test-${process.pid}`)
    mkdirSync(group)
    t.teardown(() => rmdirSync(group))
    const supervisor = startSupervisor(t, {
      args: ['test/process/fixtures/plain-http.js', ...FLAGS],
      env: { PORT: String(port) },
    })
    const before = await supervisor.waitUntilReady()
    writeFileSync(join(group, 'cgroup.procs'), String(supervisor.pid))
    writeFileSync(join(group, 'pids.max'), '1')
    process.kill(before.workers[0]?.pid ?? 0, 'SIGKILL')
    const limited = await supervisor.waitForStatus(
      ({ workers }) => workers[0]?.state === 'waiting' && workers[0].restarts >= 3,
      'slot 0 to wait for a process',
    )
    t.match(
      limited.workers[0]?.lastExit?.reason,
      /^could not be started: the process limit is reached; .*: spawn .* EAGAIN$/,
    )
    t.match(limited.workers[1], { pid: before.workers[1]?.pid, state: 'ready' })
    t.equal(limited.pid, supervisor.pid)
    t.equal(await askPid(port), before.workers[1]?.pid)
    const rolled = await supervisor.cli('reload')
    t.equal(rolled.code, 5, 'a rolling restart is given up')
    t.match(rolled.stderr, /could not be started: the process limit is reached/)
    writeFileSync(join(group, 'pids.max'), 'max')
    await supervisor.waitUntilReady(20_000)
    t.equal((await supervisor.cli('stop')).code, 0)
    await supervisor.leavesNothing()
  },
)
