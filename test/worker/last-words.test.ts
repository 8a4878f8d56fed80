import t, { type Test } from 'tap'
import { isAlive, processIdentity } from '../../src/shared/process-identity.js'
import { eventually } from '../support/deadline.js'
import { Primary } from './support/primary.js'
import { closeFrames, recordingUpstream } from './support/upstream.js'

const start = async (t: Test, env: NodeJS.ProcessEnv = {}) => {
  const upstream = await recordingUpstream(t)
  const primary = new Primary(t, 'upstream-client.js', { env: { UPSTREAM: upstream.url, ...env } })
  const { id, pid } = await primary.fork()
  const { by } = await primary.frame(id, 'ready')
  return { upstream, primary, id, pid, by }
}

for (const [told, code] of [
  ['exit', 7],
  ['throw', 1],
  ['reject', 1],
] as const) {
  t.test(`the upstream sees a Close frame when the app does ${told}`, async (t) => {
    const { upstream, primary, id } = await start(t)
    primary.tellApp(id, told)
    t.equal((await primary.exit(id)).code, code, 'the exit code is the app’s')
    t.same(await closeFrames(upstream, 1), [{ code: 1001, reason: 'last words' }])
  })
}

t.test('an uncaught error is reported with its stack', async (t) => {
  const { primary, id } = await start(t)
  primary.tellApp(id, 'throw')
  t.match((await primary.frame(id, 'fault')).text, /^Error: thrown by the app\n +at /)
  await primary.exit(id)
  t.match(primary.output, 'Error: thrown by the app', 'and printed by Node as ever')
})

t.test('a drain closes the clients with a whole handshake', async (t) => {
  const { upstream, primary, id, by } = await start(t)
  t.equal(by, 'clients')
  primary.drain(id)
  t.equal((await primary.exit(id)).code, 0)
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
})

t.test('clients are closed before the app’s own listeners run', async (t) => {
  const { upstream, primary, id } = await start(t, { HAS_LISTENER: '1' })
  primary.drain(id)
  await primary.said(id, 'own listener')
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
})

t.test('a leave order still closes the clients', async (t) => {
  const { upstream, primary, id } = await start(t)
  primary.order(id, { type: 'leave' })
  await primary.exit(id)
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
})

t.test('after kill -9 of the primary the upstream sees a Close frame and the worker is gone', async (t) => {
  const { upstream, primary, pid } = await start(t)
  const worker = processIdentity(pid)
  primary.process.kill('SIGKILL')
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
  await eventually(
    () => isAlive(worker),
    (alive) => !alive,
    { what: 'the end of the worker' },
  )
})

t.test('a report tells the clients, and comes by itself when they change', async (t) => {
  const { primary, id } = await start(t)
  const pushed = await primary.until('pushed report', () =>
    primary
      .frames(id, 'report')
      .find(({ id: asked, report }) => asked === null && report.clients.length === 1),
  )
  t.match(pushed.report.clients, [{ name: 'feed', role: 'own' }])
  primary.order(id, { type: 'askReport', id: 42 })
  const { report } = await primary.until('asked report', () =>
    primary.frames(id, 'report').find(({ id: asked }) => asked === 42),
  )
  t.match(report, { connections: 0, inFlight: 0, clients: [{ name: 'feed', state: 'open' }], waitingFor: [] })
  t.ok(report.eventLoopDelayMs >= 0)
})
