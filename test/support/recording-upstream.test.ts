// The recording upstream tells what really happened on its connections.

import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { recordingUpstream } from './recording-upstream.js'

const openClient = async (t: Test, url: string): Promise<WebSocket> => {
  const client = new WebSocket(url)
  t.teardown(() => client.terminate())
  client.on('error', () => {})
  await once(client, 'open')
  return client
}

t.test('an upgrade is recorded with the identity in the query or in headers', async (t) => {
  const upstream = await recordingUpstream(t)
  await openClient(t, `${upstream.url}/feed?slot=3&pid=77&generation=2`)
  const headers = { 'x-slot': '4', 'x-pid': '78', 'x-generation': '1' }
  const client = new WebSocket(upstream.url, { headers })
  t.teardown(() => client.terminate())
  await once(client, 'open')
  await upstream.waitFor(({ open }) => open.length === 2, { what: 'two to be open' })
  t.match(upstream.open, [
    { slot: '3', pid: '77', generation: '2', path: '/feed' },
    { slot: '4', pid: '78', generation: '1', path: '/' },
  ])
})

t.test('a Close frame is told apart from a connection that just ends', async (t) => {
  const upstream = await recordingUpstream(t)
  const tidy = await openClient(t, `${upstream.url}?slot=0`)
  const empty = await openClient(t, `${upstream.url}?slot=1`)
  const dead = await openClient(t, `${upstream.url}?slot=2`)
  tidy.close(1001, 'going')
  empty.close()
  dead.terminate()
  await upstream.waitFor(({ connected }) => connected.length === 0, { what: 'all to be gone' })
  const ends = upstream.connections.map(({ slot, code, reason, closeFrameAt }) => [
    slot,
    code,
    reason,
    closeFrameAt !== null,
  ])
  t.same(ends, [
    ['0', 1001, 'going', true],
    ['1', 1005, '', true],
    ['2', null, '', false],
  ])
  t.same(
    upstream.closedWithoutCloseFrame.map(({ slot }) => slot),
    ['2'],
  )
})

t.test('the Close frame is recorded when it is read, the end of the connection after it', async (t) => {
  const upstream = await recordingUpstream(t, { answersClose: false })
  const client = await openClient(t, upstream.url)
  client.close(1000)
  await upstream.waitFor(({ connections }) => connections[0]?.closeFrameAt !== null, {
    what: 'the Close frame',
  })
  t.equal(upstream.open.length, 1, 'unanswered, it is still open')
  t.equal(client.readyState, WebSocket.CLOSING)
  client.terminate()
  await upstream.waitFor(({ open }) => open.length === 0, { what: 'the end' })
  t.same(
    upstream.records.map(({ event, openNow }) => [event, openNow]),
    [
      ['accept', 0],
      ['open', 1],
      ['closeFrame', 1],
      ['gone', 0],
    ],
  )
})

t.test('a protocol error of the peer does not pass for a Close frame', async (t) => {
  const upstream = await recordingUpstream(t)
  const socket = connect(upstream.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const key = Buffer.alloc(16).toString('base64')
  socket.write(
    `GET /?slot=9 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  )
  await upstream.waitFor(({ open }) => open.length === 1, { what: 'the raw client to be open' })
  socket.write(Buffer.from([0xf1, 0x00]))
  socket.resume()
  await upstream.waitFor(({ connections }) => connections[0]?.code === null, { what: 'no code' })
  socket.end()
  await upstream.waitFor(({ connected }) => connected.length === 0, { what: 'the end' })
  t.equal(upstream.closedWithoutCloseFrame.length, 1)
})

t.test('a Close frame of its own is answered, and the answer is the peer’s Close frame', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = await openClient(t, upstream.url)
  upstream.closeAll(1012, 'restart')
  const [code] = await once(client, 'close')
  t.equal(code, 1012)
  await upstream.waitFor(({ connected }) => connected.length === 0, { what: 'the end' })
  t.match(upstream.connections[0], { code: 1012 })
})

t.test('the most that were ever open is kept for each slot', async (t) => {
  const upstream = await recordingUpstream(t)
  const clients = await Promise.all([0, 0, 1].map((slot) => openClient(t, `${upstream.url}?slot=${slot}`)))
  for (const client of clients) client.close()
  await upstream.waitFor(({ open }) => open.length === 0, { what: 'all to be closed' })
  await openClient(t, `${upstream.url}?slot=0`)
  t.same([...upstream.maxOpenBySlot].sort(), [
    ['0', 2],
    ['1', 1],
  ])
})

t.test('an upstream that refuses or hangs accepts the connection and opens nothing', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 401 })
  const refused = new WebSocket(upstream.url)
  const [error] = await once(refused, 'error')
  t.match(error, { message: /401/ })
  upstream.behaviour = { ...upstream.behaviour, refuseWith: null, hangsUpgrade: true }
  const hanging = new WebSocket(upstream.url)
  hanging.on('error', () => {})
  await upstream.waitFor(({ connections }) => connections[1]?.path === '/', {
    what: 'the upgrade to be read',
  })
  hanging.terminate()
  await upstream.waitFor(({ connected }) => connected.length === 0, { what: 'both to be gone' })
  t.equal(upstream.upgraded.length, 0)
})

t.test('messages are kept in order; a reset of all connections is seen by the peers', async (t) => {
  const upstream = await recordingUpstream(t, { echoes: true })
  const client = await openClient(t, upstream.url)
  client.send('one')
  client.send('two')
  await once(client, 'message')
  await upstream.waitFor(({ messages }) => messages.length === 2, { what: 'two messages' })
  t.same(upstream.messages, ['one', 'two'])
  upstream.resetAll()
  const [code] = await once(client, 'close')
  t.equal(code, 1006)
})

t.test('waitFor gives up at its deadline and shows the last records', async (t) => {
  const upstream = await recordingUpstream(t)
  await openClient(t, `${upstream.url}?slot=5`)
  const waited = upstream.waitFor(({ open }) => open.length === 2, { what: 'a second client', timeout: 20 })
  await t.rejects(waited, { message: /waited 20 ms for a second client[\s\S]*open #1 slot 5/ })
})
