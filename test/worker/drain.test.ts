import { once } from 'node:events'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import WebSocket from 'ws'
import { get } from './support/get.js'
import { Primary } from './support/primary.js'

const CLEAN = { requests: 0, upgraded: 0, hooks: [] }

for (const closes of ['sigterm', 'hook']) {
  t.test(`WebSocket clients that the app closes in its ${closes} are closed with its code`, async (t) => {
    const primary = new Primary(t, 'ws-server.js', { env: { CLOSES: closes } })
    const { id, port } = await primary.serve()
    const client = new WebSocket(`ws://127.0.0.1:${port}`)
    await once(client, 'message')
    primary.drain(id, 20_000)
    const [code] = await once(client, 'close')
    t.equal(code, 1012)
    t.same((await primary.frame(id, 'drained')).forced, CLEAN)
    t.equal((await primary.exit(id)).code, 0)
  })
}

t.test('WebSocket clients that nobody closes are ended at the deadline, and counted', async (t) => {
  const primary = new Primary(t, 'ws-server.js')
  const { id, port } = await primary.serve()
  const client = new WebSocket(`ws://127.0.0.1:${port}`)
  await once(client, 'message')
  primary.drain(id, 1_000)
  await once(client, 'close')
  t.same((await primary.frame(id, 'drained')).forced, { ...CLEAN, upgraded: 1 })
  t.equal((await primary.exit(id)).code, 0)
})

const openStream = async (port: number): Promise<{ response: IncomingMessage; text: () => string }> => {
  const [response] = (await once(httpGet({ port, agent: false }), 'response')) as [IncomingMessage]
  let text = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await once(response, 'data')
  return { response, text: () => text }
}

t.test('an event stream that the app ends in a hook ends cleanly', async (t) => {
  const primary = new Primary(t, 'event-stream.js', { env: { ENDS: 'hook' } })
  const { id, port } = await primary.serve()
  const { response, text } = await openStream(port)
  primary.drain(id, 20_000)
  await once(response, 'end')
  t.match(text(), 'data: bye')
  t.same((await primary.frame(id, 'drained')).forced, CLEAN)
})

t.test('an event stream that nobody ends gets a regular end at the deadline, and is counted', async (t) => {
  const primary = new Primary(t, 'event-stream.js')
  const { id, port } = await primary.serve()
  const { response } = await openStream(port)
  primary.drain(id, 1_000)
  await once(response, 'end')
  t.ok(response.complete, 'not cut off')
  t.same((await primary.frame(id, 'drained')).forced, { ...CLEAN, upgraded: 1 })
})

t.test('a connection that has not been used yet is waited for longer than the lull', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, port } = await primary.serve()
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  // Written to a connection that has been ended it is reset: that is a failed assertion here, not an error of the test.
  const ended = new Promise<string[]>((resolve) => {
    for (const event of ['end', 'error', 'close']) socket.once(event, () => resolve([`none: ${event}`]))
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  // Behind it in the queue of the listener: when this one is answered, the other has been accepted.
  await get(port, '/')
  primary.drain(id, 20_000)
  await new Promise((resolve) => setTimeout(resolve, 1_000)) // a client that takes its time
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const data = new Promise<unknown[]>((resolve) => socket.once('data', (piece) => resolve([piece])))
  const [answer] = await Promise.race([data, ended])
  t.match(String(answer), /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*connection: close/i)
  t.equal((await primary.exit(id)).code, 0)
})

t.test('a request in flight is answered before hooks run, and the app is asked last', async (t) => {
  const primary = new Primary(t, 'slow-answer.js')
  const { id, port } = await primary.serve()
  const answer = get(port, '/')
  await primary.said(id, 'asked')
  primary.drain(id, 20_000)
  t.equal(await answer, 'late but whole')
  t.equal((await primary.exit(id)).code, 0)
  t.same(primary.output.trim().split('\n'), [
    'asked',
    'answering',
    'background done',
    'second hook',
    'first hook null reload',
    'own listener',
  ])
})

t.test('a request that outlasts the budget is cut off and counted', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, port } = await primary.serve()
  const answer = get(port, '/slower')
  answer.catch(() => {})
  // The worker has the request when it has answered the next one on another connection.
  await get(port, '/')
  primary.drain(id, 500)
  t.same((await primary.frame(id, 'drained')).forced, { ...CLEAN, requests: 1 })
  await t.rejects(answer)
})

t.test('a hook that never ends is given up and named; the others run', async (t) => {
  const primary = new Primary(t, 'stuck-hooks.js')
  const { id } = await primary.serve()
  primary.drain(id, 1_000)
  t.same((await primary.frame(id, 'drained')).forced, { ...CLEAN, hooks: ['neverEnds'] })
  t.equal((await primary.exit(id)).code, 0)
  t.match(primary.output, 'last one called')
  t.match(primary.output, 'FORKSAFE_ERR_SHUTDOWN_TIMEOUT')
  t.match(primary.output, 'shutdown hook throws failed: no luck')
  t.notMatch(primary.output, 'removed one called')
})

t.test('an idle keep-alive connection is answered once more with Connection: close', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, port } = await primary.serve()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  await get(port, '/', agent)
  primary.drain(id, 20_000)
  // The order is carried out when a new connection is no longer accepted: there is no other worker.
  await primary.until('closed listener', () => primary.frames(id, 'askBarrier')[0])
  const [response] = (await once(httpGet({ host: '127.0.0.1', port, agent }), 'response')) as [
    IncomingMessage,
  ]
  t.equal(response.headers.connection, 'close')
  response.resume()
  await once(response, 'end')
  t.equal((await primary.exit(id)).code, 0)
  agent.destroy()
})

t.test('nothing of the app ends before the sockets on their way have been refused', async (t) => {
  const primary = new Primary(t, 'signal-listeners.js')
  const { id } = await primary.serve()
  primary.holdBarriers()
  primary.drain(id, 20_000)
  await primary.frame(id, 'askBarrier')
  primary.order(id, { type: 'askReport', id: 1 })
  const { report } = await primary.until('report', () => primary.frames(id, 'report').find((r) => r.id === 1))
  t.same(report.waitingFor, ['drain: answering'])
  t.notMatch(primary.output, 'own SIGTERM')
  primary.releaseBarriers()
  await primary.said(id, 'own SIGTERM')
  t.equal((await primary.exit(id)).code, 0)
})

t.test('an idle connection that is not used again does not hold up the drain', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, port } = await primary.serve()
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  // Accepted once another connection, which came later, has been answered.
  await get(port, '/')
  primary.drain(id, 20_000)
  await once(socket.resume(), 'end')
  t.same((await primary.frame(id, 'drained')).forced, CLEAN)
})

t.test('an async SIGTERM listener is waited for, and need not end the process', async (t) => {
  const primary = new Primary(t, 'never-leaves.js', { env: { KEEPS_ALIVE: '1' } })
  const { id } = await primary.serve()
  primary.drain(id, 20_000)
  t.same((await primary.frame(id, 'drained')).forced, CLEAN)
  t.match(primary.output, 'listener ends')
  t.equal((await primary.exit(id)).code, 0)
})

t.test('a SIGTERM listener that throws ends the process as it would without us', async (t) => {
  const primary = new Primary(t, 'fails-at-the-end.js')
  const { id } = await primary.serve()
  primary.drain(id, 20_000)
  t.match((await primary.frame(id, 'fault')).text, 'Error: broken listener')
  t.equal((await primary.exit(id)).code, 1)
})

t.test('a worker leaves through the channel: it is closed before the process ends', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id } = await primary.serve()
  primary.drain(id)
  await primary.exit(id)
  const events = primary.reports.filter((report) => report.id === id).map(({ event }) => event)
  t.ok(events.includes('disconnect'))
})

t.test('a leave order ends a drain at once', async (t) => {
  const primary = new Primary(t, 'ws-server.js')
  const { id, port } = await primary.serve()
  const client = new WebSocket(`ws://127.0.0.1:${port}`)
  client.on('error', () => {})
  await once(client, 'message')
  primary.drain(id, 60_000)
  primary.order(id, { type: 'leave' })
  t.same((await primary.exit(id)).signal, null)
})

t.test('a server of ours that is in use holds up no drain', async (t) => {
  const primary = new Primary(t, 'own-server-in-use.js')
  const { id } = await primary.serve()
  const began = performance.now()
  primary.drain(id, 20_000)
  t.same((await primary.frame(id, 'drained')).forced, CLEAN)
  t.ok(performance.now() - began < 5_000)
  t.equal((await primary.exit(id)).code, 0)
})
