// shutdownDelay and health: a stop that goes on serving until whoever sends traffic has heard of it. This is what
// happens in Kubernetes, where SIGTERM and the news that a pod leaves travel side by side.

import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/plain-http.js'
/** How late a process may be on a busy machine (ms). */
const SLACK = 1_500

interface World {
  supervisor: SupervisorProcess
  port: number
  health: number
}

const start = async (t: Test, args: string[], app = APP): Promise<World> => {
  const [port, health] = [await freePort(), await freePort()]
  const supervisor = startSupervisor(t, {
    args: [app, '-i', '2', '--min-uptime', '100ms', '--health', String(health), ...args],
    env: { PORT: String(port) },
  })
  await supervisor.waitUntilReady()
  return { supervisor, port, health }
}

const probe = async (port: number, path: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).status

/** For as long as Kubernetes may send traffic to a pod that it has told to stop. */
const traffic = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const ways: [name: string, stop: (supervisor: SupervisorProcess) => unknown][] = [
  ['the supervisor alone', (supervisor) => supervisor.signal('SIGTERM')],
  ['everybody in the container', (supervisor) => supervisor.signalGroup('SIGTERM')],
  [
    'the supervisor and then its workers',
    async (supervisor) => {
      const { workers } = await supervisor.status()
      supervisor.signal('SIGTERM')
      await supervisor.waitForLine(/serving goes on/)
      for (const { pid } of workers) process.kill(pid ?? 0, 'SIGTERM')
    },
  ],
]
for (const [whom, stop] of ways) {
  t.test(`SIGTERM to ${whom}, with traffic arriving for 5 s: no request fails`, async (t) => {
    const { supervisor, port, health } = await start(t, ['--shutdown-delay', '6s', '--stop-timeout', '5s'])
    t.same([await probe(health, '/livez'), await probe(health, '/readyz')], [200, 200])
    const load = startLoad({ port, clients: { keepalive: 5, close: 5, slow: 5, slowReused: 5 } })
    await load.finished(200)
    const told = performance.now()
    await stop(supervisor)
    await eventually(
      () => probe(health, '/readyz'),
      (status) => status === 503,
      { what: 'it not to be ready any more', timeout: 1_000 },
    )
    t.equal(await probe(health, '/livez'), 200)
    t.match(await supervisor.status(), { state: 'stopping', health: `http://127.0.0.1:${health}` })
    await traffic(5_000 - (performance.now() - told))
    // Still being answered when the drain begins.
    const last = fetch(`http://127.0.0.1:${port}/slow?ms=2000`).then((response) => response.text())
    const result = await load.stop()
    t.equal(result.failed, 0, describeLoad(result))
    t.match(await last, /^\d+$/)
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
    const took = performance.now() - told
    t.ok(took > 6_000 && took < 11_000 + SLACK, `it took ${Math.round(took)} ms`)
    const [first, second] = supervisor.lines.filter((line) => /stopping|draining|gone/.test(line))
    t.match(first, /stopping \(SIGTERM\), within 11s; serving goes on for 6s/)
    t.match(second, /draining \(after 6s\), within 5s/, 'nobody drains before that')
  })
}

t.test(
  'a second signal ends the delay and what is in flight is answered; a third one waits for nothing',
  async (t) => {
    const { supervisor, port } = await start(t, ['--shutdown-delay', '40s', '--stop-timeout', '40s'])
    supervisor.signal('SIGTERM')
    await supervisor.waitForLine(/serving goes on for 40s/)
    const answer = fetch(`http://127.0.0.1:${port}/slow?ms=500`).then((response) => response.text())
    await load(port)
    supervisor.signal('SIGTERM')
    await supervisor.waitForLine(/draining \(a second stop signal\), within 40s/)
    t.match(await answer, /^\d+$/)
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })

    const other = await start(t, ['--shutdown-delay', '40s', '--stop-timeout', '40s'], NEVER_DRAINS)
    await hangingRequest(t, other.port)
    other.supervisor.signal('SIGTERM')
    await other.supervisor.waitForLine(/serving goes on for 40s/)
    other.supervisor.signal('SIGTERM')
    await other.supervisor.waitForLine(/draining for stop/)
    other.supervisor.signal('SIGTERM')
    t.equal((await other.supervisor.leavesNothing()).code, 1)
  },
)

t.test('a client that never closes does not keep it beyond shutdownDelay and stopTimeout', async (t) => {
  const { supervisor, port } = await start(
    t,
    ['--shutdown-delay', '1s', '--stop-timeout', '2s'],
    NEVER_DRAINS,
  )
  await hangingRequest(t, port)
  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => {})
  t.teardown(() => silent.destroy())
  await once(silent, 'connect')
  supervisor.signal('SIGTERM')
  const told = performance.now()
  await supervisor.leavesNothing()
  const took = performance.now() - told
  t.ok(took > 1_500 && took < 3_000 + SLACK, `it took ${Math.round(took)} ms`)
})

t.test('whoever starts next waits for the delay too, and gets the name and the port of health', async (t) => {
  const { supervisor, health } = await start(t, ['--name', 'pod', '--shutdown-delay', '3s'])
  supervisor.signal('SIGTERM')
  await supervisor.waitForLine(/serving goes on for 3s/)
  const next = startSupervisor(t, {
    args: [APP, '--name', 'pod', '--health', String(health)],
    env: { PORT: '0' },
    home: supervisor.home,
    name: 'pod',
  })
  t.same(await supervisor.exited, { code: 0, signal: null })
  const { pid } = await next.waitUntilReady()
  t.equal(pid, next.pid)
  t.equal(await probe(health, '/readyz'), 200)
})

t.test('supervisor stop tells of the delay and waits for it; --now does not', async (t) => {
  const { supervisor } = await start(t, ['--shutdown-delay', '1s'])
  const { code, stdout, stderr } = await supervisor.cli('stop')
  t.equal(code, 0)
  t.match(stdout + stderr, /stopping within 26s, serving goes on for 1s\n(.*\n)*draining within 25s/)
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
  const other = await start(t, ['--shutdown-delay', '40s'])
  t.equal((await other.supervisor.cli('stop', '--now')).code, 1)
  await other.supervisor.leavesNothing()
})

t.test('an address of health that is taken ends the start in one line, and leaves nothing', async (t) => {
  const { health } = await start(t, [])
  const second = startSupervisor(t, { args: [APP, '--health', String(health)], env: { PORT: '0' } })
  t.same(await second.leavesNothing(), { code: 1, signal: null })
  t.match(second.lines, [new RegExp(`health: http://127\\.0\\.0\\.1:${health} is in use`)])
})

const NEVER_DRAINS = 'test/process/fixtures/never-drains.js'

const hangingRequest = async (t: Test, port: number): Promise<void> => {
  const hanging = request({ port, host: '127.0.0.1', path: '/hang', agent: false })
  hanging.on('error', () => {})
  t.teardown(() => hanging.destroy())
  await new Promise((resolve) => hanging.end(resolve))
}

/** A request that is answered: others that were sent before it have arrived too. */
const load = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text()
