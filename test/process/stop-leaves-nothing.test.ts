// Every way to stop: no process, socket, lock or socket file is left, and each connection that the upstream had accepted
// has ended with one Close frame. That nothing is left is checked by the kit when the supervisor is gone.

import { request } from 'node:http'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/http-and-feed.js'

const start = async (t: Test, app = APP, args: string[] = []) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [app, '--workers', '2', '--min-uptime', '300ms', ...args],
    env: { UPSTREAM: upstream.url, PORT: String(port) },
  })
  return { upstream, port, supervisor }
}

const allConnected = async (supervisor: SupervisorProcess, upstream: RecordingUpstream): Promise<void> => {
  await supervisor.waitUntilReady()
  await upstream.waitFor(({ open }) => open.length === 2)
}

const endedByCloseFrames = async (t: Test, upstream: RecordingUpstream, atLeast: number): Promise<void> => {
  await upstream.waitFor(({ connected }) => connected.length === 0)
  const { upgraded } = upstream
  t.ok(upgraded.length >= atLeast, `${upgraded.length} connections were opened`)
  for (const { id, slot, code } of upgraded) {
    t.match(code, /^(1000|1001)$/, `connection ${id} of slot ${slot} ended with a Close frame`)
  }
  t.same(
    new Set(
      upstream.records.filter(({ event }) => event === 'closeFrame').map(({ connection }) => connection.id),
    ).size,
    upgraded.length,
  )
}

const ways: [name: string, stop: (supervisor: SupervisorProcess) => unknown][] = [
  ['SIGTERM to the supervisor', (supervisor) => supervisor.signal('SIGTERM')],
  ['Ctrl-C, to the whole process group', (supervisor) => supervisor.signalGroup('SIGINT')],
  ['SIGTERM to the whole process group', (supervisor) => supervisor.signalGroup('SIGTERM')],
  ['SIGTERM twice', (supervisor) => [supervisor.signal('SIGTERM'), supervisor.signal('SIGTERM')]],
  [
    'SIGINT and SIGTERM to the group',
    (supervisor) => [supervisor.signalGroup('SIGINT'), supervisor.signalGroup('SIGTERM')],
  ],
]
for (const [name, stop] of ways) {
  t.test(name, async (t) => {
    const { upstream, supervisor } = await start(t)
    await allConnected(supervisor, upstream)
    stop(supervisor)
    const exit = await supervisor.leavesNothing()
    t.equal(exit.signal, null)
    await endedByCloseFrames(t, upstream, 2)
  })
}

t.test('supervisor stop answers when nothing is left, and the exit codes are 0', async (t) => {
  const { upstream, supervisor } = await start(t)
  await allConnected(supervisor, upstream)
  const { code, stdout } = await supervisor.cli('stop')
  t.equal(code, 0, stdout)
  t.same(supervisor.members(), [], 'no process when the command returns')
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
  await endedByCloseFrames(t, upstream, 2)
})

t.test('a request in flight is answered before the worker leaves', async (t) => {
  const { upstream, port, supervisor } = await start(t)
  await allConnected(supervisor, upstream)
  const answer = new Promise<string>((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/?ms=600', agent: false }, (response) => {
      response.setEncoding('utf8')
      response.on('data', resolve)
    })
    sent.on('error', reject)
    sent.on('finish', () => supervisor.signal('SIGTERM'))
    sent.end()
  })
  t.match(await answer, /^\d+$/)
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('stop while the workers start, at any moment', async (t) => {
  for (const moment of [/worker 0 starting/, /worker 1 starting/, /worker \d ready/]) {
    const { upstream, supervisor } = await start(t)
    await supervisor.waitForLine(moment)
    supervisor.signalGroup('SIGTERM')
    t.equal((await supervisor.leavesNothing()).signal, null)
    await endedByCloseFrames(t, upstream, 0)
  }
})

t.test('stop in the middle of a rolling restart wins', async (t) => {
  for (const moment of [
    /rolling restart of/,
    /worker 0 ready.*generation 2/,
    /worker 1 starting.*generation 2/,
  ]) {
    const { upstream, supervisor } = await start(t)
    await allConnected(supervisor, upstream)
    const reload = supervisor.cli('reload')
    await supervisor.waitForLine(moment)
    supervisor.signal('SIGTERM')
    t.equal((await reload).code, 5)
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
    await endedByCloseFrames(t, upstream, 2)
  }
})

t.test('a second signal does not wait for what never ends', async (t) => {
  const { port, supervisor } = await start(t, 'test/process/fixtures/never-drains.js')
  await supervisor.waitUntilReady()
  const hanging = request({ port, host: '127.0.0.1', path: '/hang', agent: false })
  hanging.on('error', () => {})
  await new Promise((resolve) => hanging.end(resolve))
  supervisor.signal('SIGTERM')
  await supervisor.waitForLine(/draining for stop/)
  supervisor.signal('SIGTERM')
  // The default stopTimeout is 25 s: it would be reached here only if the second signal did nothing.
  t.equal((await supervisor.leavesNothing({ timeout: 15_000 })).code, 1)
})

t.test('what never drains is ended within stopTimeout, and the exit code says so', async (t) => {
  const { port, supervisor } = await start(t, 'test/process/fixtures/blocks-the-loop.js', [
    '--stop-timeout',
    '1500ms',
  ])
  await supervisor.waitUntilReady()
  const blocking = request({ port, host: '127.0.0.1', path: '/block?ms=60000', agent: false })
  blocking.on('error', () => {})
  await new Promise((resolve) => blocking.end(resolve))
  supervisor.signal('SIGTERM')
  t.equal((await supervisor.leavesNothing({ timeout: 15_000 })).code, 1)
  t.ok(supervisor.lines.some((line) => /killed: did not leave within its time/.test(line)))
})
