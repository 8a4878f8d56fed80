import t from 'tap'
import { get } from './support/get.js'
import { Primary } from './support/primary.js'

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  t.test(`${signal} is reported, and the app goes on serving until the order comes`, async (t) => {
    const primary = new Primary(t, 'signal-listeners.js')
    const { id, pid, port } = await primary.serve()
    process.kill(pid, signal)
    t.equal((await primary.frame(id, 'signalled')).signal, signal)
    primary.order(id, { type: 'hold' })
    t.equal(await get(port, '/'), 'ok')
    t.notMatch(primary.output, 'own SIG', 'its own listeners have not run')
    primary.order(id, { type: 'drain', reason: 'stop', budget: 5_000 })
    t.equal((await primary.exit(id)).code, 0)
    t.match(primary.output, 'own SIGTERM 15', 'SIGTERM listeners run at the end, with name and number')
    t.notMatch(primary.output, 'own SIGINT')
  })
}

t.test('a signal that no primary answers drains the worker', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id, pid } = await primary.serve()
  process.kill(pid, 'SIGTERM')
  await primary.frame(id, 'drained')
  t.equal((await primary.exit(id)).code, 0)
})

t.test('hold keeps a worker from draining on its own', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id, pid, port } = await primary.serve()
  process.kill(pid, 'SIGTERM')
  await primary.frame(id, 'signalled')
  primary.order(id, { type: 'hold' })
  // Twice what a worker waits for its order: not reached by waiting, but by what the worker itself does meanwhile.
  const until = Date.now() + 1_000
  while (Date.now() < until) await get(port, '/')
  t.same(primary.frames(id, 'drained'), [])
})

t.test('a stop signal after the deadline makes the worker leave at once', async (t) => {
  const primary = new Primary(t, 'never-leaves.js', { env: { KEEPS_ALIVE: '1' } })
  const { id, pid } = await primary.serve()
  primary.drain(id, 100_000)
  await primary.said(id, 'listener begins')
  primary.drain(id, 0)
  process.kill(pid, 'SIGTERM')
  t.equal((await primary.exit(id)).signal, null, 'it was not the default action')
})

t.test('SIGUSR2 does nothing and SIGUSR1 opens no inspector', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, pid, port } = await primary.serve()
  process.kill(pid, 'SIGUSR2')
  process.kill(pid, 'SIGUSR1')
  t.equal(await get(port, '/'), `${pid}`)
  primary.drain(id)
  t.equal((await primary.exit(id)).code, 0)
  t.equal(primary.output, '', 'no line about a debugger')
})

t.test('an app’s own SIGUSR1 listener runs at once', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id, pid } = await primary.serve()
  process.kill(pid, 'SIGUSR1')
  await primary.said(id, 'own SIGUSR1')
})

t.test('an app that listens to SIGHUP itself keeps it', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js', { env: { HUP: '1' } })
  const { id, pid } = await primary.serve()
  process.kill(pid, 'SIGHUP')
  await primary.said(id, 'own SIGHUP')
  t.same(primary.frames(id, 'signalled'), [])
})

t.test('an app that emits SIGTERM itself reaches its own listeners', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id } = await primary.serve()
  primary.tellApp(id, 'emit')
  await primary.said(id, 'own SIGTERM 15')
  t.same(primary.frames(id, 'signalled'), [])
})

t.test('signals are still held back after the app has removed all listeners', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id, pid } = await primary.serve()
  primary.tellApp(id, 'removeAll')
  await primary.seen('removal', ({ event, message }) => event === 'appMessage' && message === 'removed')
  process.kill(pid, 'SIGTERM')
  t.equal((await primary.frame(id, 'signalled')).signal, 'SIGTERM')
})
