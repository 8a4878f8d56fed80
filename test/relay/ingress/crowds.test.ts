// Callers that are slow, many, gone, or say one thing and do another: others are served meanwhile, and nothing is left.

import t from 'tap'
import { eventually, withDeadline } from '../../support/deadline.js'
import { noSocketIsLeft, openSockets } from './open-sockets.js'
import { headerOf, jsonOf, openRaw, raw, requestText, serveUnix, statusOf } from './serving.js'

const post = (id: string, headers: Record<string, string | number> = {}, body = id): string =>
  requestText('POST /v1/feed', { 'idempotency-key': id, ...headers }, body)
const kept = { connection: 'keep-alive' }

t.test('a caller that goes away in the middle of its body leaves nothing', async (t) => {
  const { door, place } = await serveUnix(t)
  const before = openSockets()
  for (const headers of [{ 'content-length': 100 }, { 'transfer-encoding': 'chunked' }]) {
    const { socket } = await openRaw(place)
    socket.write(requestText('POST /v1/feed', headers, '5\r\nhello\r\n'))
    t.equal(statusOf(await raw(place, post('good'))), 202)
    socket.destroy()
    await noSocketIsLeft(before)
  }
  t.same(
    door.appended.map(({ id }) => id),
    ['good'],
  )
})

t.test('a caller that ends its side in the middle of a body is told that it was not complete', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket, answer } = await openRaw(place)
  socket.end(requestText('POST /v1/feed', { 'content-length': 100 }, 'hello'))
  t.equal(statusOf(await withDeadline(answer, { what: 'the end' })), 400)
  t.same(door.appended, [])
})

t.test('a caller that ends its side behind a whole request gets its answer', async (t) => {
  const { door, place } = await serveUnix(t)
  door.held = []
  const { socket, answer } = await openRaw(place)
  socket.end(post('m1', kept))
  await eventually(
    () => door.held?.length,
    (held) => held === 1,
    { what: 'the message at the door' },
  )
  door.open()
  t.match(await withDeadline(answer, { what: 'the answer' }), /^HTTP\/1\.1 202 [\s\S]*"id":"m1"/)
})

t.test('a caller that ends its side and wants to wait is answered at once', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket, answer } = await openRaw(place)
  socket.end(post('m1', { ...kept, prefer: 'wait=60' }))
  t.equal(statusOf(await withDeadline(answer, { what: 'the answer' })), 202)
  t.equal(door.waiting, 0)
})

t.test(
  'a body longer than its length is cut there, and what follows is refused behind the answer',
  async (t) => {
    const { door, place } = await serveUnix(t)
    door.held = []
    const { socket, answer } = await openRaw(place)
    socket.write(`${post('m1', { ...kept, 'content-length': 5 }, 'hello, world')}\r\n\r\n`)
    await eventually(
      () => door.held?.length,
      (held) => held === 1,
      { what: 'the message at the door' },
    )
    door.open()
    const text = await withDeadline(answer, { what: 'the end' })
    t.match(text, /^HTTP\/1\.1 202 [\s\S]*"id":"m1"[\s\S]*HTTP\/1\.1 400 /)
    t.equal(door.appended[0]?.body.toString(), 'hello')
  },
)

t.test('a request of the pipeline that is broken takes none of those before it with it', async (t) => {
  const { door, place } = await serveUnix(t)
  door.held = []
  const { socket, answer } = await openRaw(place)
  socket.write(`${post('m1', kept)}${post('m2', kept)}${'\0'.repeat(20)}${post('m3', kept)}`)
  await eventually(
    () => door.held?.length,
    (held) => held === 2,
    { what: 'two messages at the door' },
  )
  door.open()
  const text = await withDeadline(answer, { what: 'the end' })
  t.same(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['202', '202', '400'],
  )
  t.same(
    door.appended.map(({ id }) => id),
    ['m1', 'm2'],
  )
})

t.test('whoever asks before it sends is told to go on, or why not', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket, answer, until } = await openRaw(place)
  socket.write(requestText('POST /v1/feed', { expect: '100-continue', 'content-length': 5 }))
  await until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  socket.write('hello')
  t.match(await answer, /HTTP\/1\.1 202 /)
  t.equal(door.appended.length, 1)
  const large = { expect: '100-continue', 'content-length': 999_999, ...kept }
  t.match(await raw(place, requestText('POST /v1/feed', large)), /^HTTP\/1\.1 413 /)
  t.match(await raw(place, requestText('POST /v1/other', large)), /^HTTP\/1\.1 404 /)
})

t.test('HTTP/1.0 is served', async (t) => {
  const { door, place } = await serveUnix(t)
  const answer = await raw(place, 'POST /v1/feed HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi')
  t.equal(statusOf(answer), 202)
  t.equal(door.appended.length, 1)
})

t.test('a body that was too large does not end the connection of its caller', async (t) => {
  const { place } = await serveUnix(t)
  const { socket, until } = await openRaw(place)
  socket.write(requestText('POST /v1/feed', kept, 'x'.repeat(300_000)))
  await until((text) => text.includes('HTTP/1.1 413 '))
  socket.write(post('m1', kept))
  await until((text) => text.includes('HTTP/1.1 202 '))
  socket.destroy()
})

t.test('requests that hold more bytes than there may be are refused until there is room', async (t) => {
  const { door, place } = await serveUnix(t, { limits: { bodies: 10_000 } })
  door.held = []
  const first = await openRaw(place)
  first.socket.write(post('m1', {}, 'x'.repeat(4_000)))
  await eventually(
    () => door.held?.length,
    (held) => held === 1,
    { what: 'the message at the door' },
  )
  const answer = await raw(place, post('m2'))
  t.equal(statusOf(answer), 503)
  t.equal(headerOf(answer, 'retry-after'), '1')
  t.match(jsonOf(answer), { code: 'FORKSAFE_ERR_RELAY_BUSY' })
  door.open()
  t.equal(statusOf(await first.answer), 202)
  for (let round = 0; round < 5; round++) t.equal(statusOf(await raw(place, post(`n${round}`))), 202)
})

t.test(
  'with as many connections as there may be the others are told so, and those that are there are served',
  async (t) => {
    const most = 64
    const { door, place } = await serveUnix(t, { settings: { maxConnections: most } })
    const before = openSockets()
    const inside = await Promise.all(Array.from({ length: most }, () => openRaw(place)))
    // Each has asked for something that takes its time.
    for (const [index, { socket }] of inside.entries())
      socket.write(post(`i${index}`, { ...kept, prefer: 'wait=60' }))
    await eventually(
      () => door.waiting,
      (waiting) => waiting === most,
      { what: 'all to wait' },
    )
    const outside: Promise<string>[] = []
    // The kernel lets no more wait to be let in than the socket's backlog; so a few at a time.
    for (let wave = 0; wave < 10; wave++) {
      const raws = await Promise.all(Array.from({ length: 100 }, () => openRaw(place)))
      // Most of them say nothing. The last one is let in last.
      for (const { socket } of raws.slice(60)) socket.write(post(`o${wave}`, kept))
      outside.push(...raws.map(({ answer }) => withDeadline(answer, { what: 'the end of one too many' })))
      await raws.at(-1)?.until((text) => text !== '')
    }
    const connected = await Promise.all(outside)
    t.same([...new Set(connected.map((text) => text.slice(0, 12)))], ['HTTP/1.1 503'], 'each was told')
    t.ok(connected.every((text) => headerOf(text, 'retry-after') === '1'))
    for (const [index, { until }] of inside.entries()) {
      door.settle(`i${index}`, { state: 'delivered' })
      await until((text) => text.startsWith('HTTP/1.1 200 '))
    }
    t.equal(door.appended.length, most)
    for (const { socket } of inside) socket.destroy()
    await noSocketIsLeft(before)
    t.equal(statusOf(await raw(place, post('after'))), 202, 'there is room again')
  },
)

t.test('connections on which nothing is asked make room for whoever asks', async (t) => {
  const most = 20
  const { door, place } = await serveUnix(t, { settings: { maxConnections: most } })
  const before = openSockets()
  const silent = await Promise.all(Array.from({ length: most }, () => openRaw(place)))
  const half = silent[0]
  half?.socket.write('POST /v1/feed HTTP/1.1\r\nhost:')
  await eventually(
    async () => statusOf(await raw(place, post('good'))),
    (status) => status === 202,
    { what: 'a good caller to be let in' },
  )
  for (let index = 0; index < most - 1; index++) t.equal(statusOf(await raw(place, post(`m${index}`))), 202)
  t.equal(statusOf(await withDeadline(half?.answer ?? Promise.resolve(''), { what: 'its end' })), 503)
  t.equal(door.appended.length, most)
  for (const { socket } of silent) socket.destroy()
  await noSocketIsLeft(before)
})

t.test('connections that were kept make room when they have rested for a while', async (t) => {
  const most = 5
  const { door, place } = await serveUnix(t, { settings: { maxConnections: most } })
  const resting = await Promise.all(Array.from({ length: most }, () => openRaw(place)))
  for (const [index, { socket, until }] of resting.entries()) {
    socket.write(post(`r${index}`, kept))
    await until((text) => text.startsWith('HTTP/1.1 202 '))
  }
  await eventually(
    async () => statusOf(await raw(place, post('good'))),
    (status) => status === 202,
    { what: 'a good caller to be let in' },
  )
  t.notMatch(
    await withDeadline(resting[0]?.answer ?? Promise.resolve(''), { what: 'its end' }),
    /HTTP\/1\.1 503/,
  )
  t.equal(door.appended.length, most + 1)
  for (const { socket } of resting) socket.destroy()
})

t.test('callers that send a byte now and then are ended in time, and others are served', async (t) => {
  const limits = { headers: 200, request: 400, checking: 30 }
  const { door, place } = await serveUnix(t, { limits })
  const before = openSockets()
  const slow = await Promise.all(Array.from({ length: 40 }, () => openRaw(place)))
  const text = post('slow', { 'content-length': 100 }, '')
  const bodies = slow.slice(20)
  for (const { socket } of bodies) socket.write(text)
  const timer = setInterval(() => {
    for (const { socket } of slow) if (socket.writable) socket.write('x')
  }, 20)
  t.teardown(() => clearInterval(timer))
  t.equal(statusOf(await raw(place, post('good'))), 202)
  const answers = await Promise.all(slow.map(({ answer }) => withDeadline(answer, { what: 'its end' })))
  clearInterval(timer)
  t.same(
    [...new Set(answers.map(statusOf))].sort(),
    [400, 408].filter((status) => answers.map(statusOf).includes(status)),
  )
  t.ok(answers.slice(20).every((answer) => statusOf(answer) === 408))
  t.same(
    door.appended.map(({ id }) => id),
    ['good'],
  )
  await noSocketIsLeft(before)
})

t.test('a connection on which nothing is asked any more is ended', async (t) => {
  const { place } = await serveUnix(t, { limits: { keepAlive: 100 } })
  const { socket, answer } = await openRaw(place)
  socket.write(post('m1', kept))
  t.equal(statusOf(await withDeadline(answer, { what: 'its end' })), 202)
})
