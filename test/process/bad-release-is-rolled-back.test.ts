// A bad release never takes the service down: the old workers, the very same processes, go on serving without a failed
// request, `reload` exits 5 and says which worker and why, and the next good release goes through.

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { processRow } from '../support/process-tree.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FIXTURES = 'test/process/fixtures'

const start = async (t: Test, args: string[] = []) => {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
  const script = join(folder, 'app.js')
  const deploy = (release: string): void => copyFileSync(join(FIXTURES, release), script)
  deploy('plain-http.js')
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [script, '--workers', '2', '--name', 'releases', '--ready-timeout', '1500ms', ...args],
    env: { PORT: String(port) },
  })
  const { workers } = await supervisor.waitUntilReady()
  return { supervisor, port, deploy, pids: workers.map(({ pid }) => pid) }
}

const bad: [name: string, release: string, reason: RegExp][] = [
  ['is never ready', 'never-ready.js', /worker 0 \(pid \d+\) was not ready within 1\.5s/],
  [
    'throws at boot',
    'throws-at-boot.js',
    /worker 0 \(pid \d+\) exited with code 1 before it was ready: .*Error/,
  ],
  [
    'exits after it was ready',
    'exits-after-ready.js',
    /worker 0 \(pid \d+\) exited with code 3 0\.\d\d s after it was ready/,
  ],
  ['has a syntax error', 'broken/syntax-error.js', /app\.js:\d+.*nothing was touched/],
]

t.test('bad releases under load', async (t) => {
  const { supervisor, port, deploy, pids } = await start(t)
  const load = startLoad({ port, clients: { keepalive: 8, close: 4, slow: 4, slowReused: 4 } })
  for (const [name, release, reason] of bad) {
    deploy(release)
    const { code, stdout, stderr } = await supervisor.cli('reload')
    t.equal(code, 5, `a release that ${name}: exit code`)
    t.match(stdout + stderr, reason, `a release that ${name}: the reason`)
    t.same(
      (await supervisor.status()).workers.map(({ pid }) => pid),
      pids,
      'the very same workers serve',
    )
  }
  await load.finished(load.result.requests + 200)
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))

  deploy('plain-http.js')
  t.equal((await supervisor.cli('reload')).code, 0)
  const { generation, state, workers } = await supervisor.status()
  t.equal(state, 'running')
  t.same(new Set(workers.map((worker) => worker.generation)), new Set([generation]))
  t.notOk(
    workers.some(({ pid }) => pids.includes(pid)),
    'new workers',
  )
})

t.test('a canary that dies while the supervisor is suspended has not passed', async (t) => {
  const { supervisor, deploy, pids } = await start(t, ['--min-uptime', '300ms'])
  deploy('exits-after-ready.js')
  const reload = supervisor.cli('reload')
  const [, canary] = await supervisor.waitForLine(/worker 0 ready .*pid (\d+), generation 2/)
  supervisor.signal('SIGSTOP')
  await eventually(
    () => processRow(Number(canary))?.state,
    (state) => state === undefined || state === 'Z',
    { what: 'the canary to be dead' },
  )
  // Past minUptime: its timer and the death are both there to be read when the supervisor wakes up.
  await new Promise((resolve) => setTimeout(resolve, 400))
  supervisor.signal('SIGCONT')
  const { code, stderr } = await reload
  t.equal(code, 5, stderr)
  t.same(
    (await supervisor.status()).workers.map(({ pid }) => pid),
    pids,
    'the very same workers serve',
  )
})

t.test('a release that fails only after the canary goes back everywhere', async (t) => {
  const { supervisor, port, deploy } = await start(t)
  const load = startLoad({ port, clients: { keepalive: 8, close: 4 } })
  deploy('slot-1-throws.js')
  const { code, stdout, stderr } = await supervisor.cli('reload')
  t.equal(code, 5)
  t.match(
    stdout + stderr,
    /worker 1 \(pid \d+\) exited with code 1 before it was ready: Error: slot 1 cannot/,
  )
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  const { workers } = await supervisor.status()
  t.equal(workers.filter(({ state }) => state === 'ready').length, 2)
})

t.test('an app with nothing but a guarded client is ready when that is open', async (t) => {
  const { recordingUpstream } = await import('../support/recording-upstream.js')
  const upstream = await recordingUpstream(t)
  for (const app of ['feed-client.js', 'feed-client.cjs']) {
    const supervisor = startSupervisor(t, {
      args: [join(FIXTURES, app), '--workers', '2', '--name', app],
      env: { UPSTREAM: upstream.url },
    })
    await supervisor.waitForLine(/worker 0 ready .* by clients/)
    const { workers } = await supervisor.waitUntilReady()
    t.match(workers[0]?.clients, [{ name: 'feed', state: 'open', role: 'own' }])
    await supervisor.end()
  }
})
