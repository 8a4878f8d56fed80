import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { eventually } from '../../support/deadline.js'
import { headerOf, jsonOf, openRaw, raw, requestText, serveUnix, statusOf } from './serving.js'

const post = (headers: Record<string, string | number> = {}, body = 'hello'): string =>
  requestText('POST /v1/feed', headers, body)

t.test('a message is handed to the door as it came and answered 202 with its place', async (t) => {
  const { door, place } = await serveUnix(t)
  const answer = await raw(place, post())
  t.equal(statusOf(answer), 202)
  const { id, state } = jsonOf(answer)
  t.equal(state, 'queued')
  t.match(String(id), /^[0-9a-f-]{36}$/)
  t.equal(headerOf(answer, 'location'), `/v1/feed/messages/${id}`)
  t.equal(headerOf(answer, 'content-type'), 'application/json')
  t.match(door.appended, [{ client: 'feed', id, key: null, isBinary: false, expiresAt: null }])
  t.equal(door.appended[0]?.body.toString(), 'hello')
})

t.test('id, key, time to live and type come from the headers', async (t) => {
  const { door, place } = await serveUnix(t)
  const before = Date.now()
  const headers = { 'idempotency-key': '"a/b%c"', 'ordering-key': 'k-1', ttl: 60 }
  const answer = await raw(place, post({ ...headers, 'content-type': 'application/octet-stream' }, '\0\x01'))
  t.equal(jsonOf(answer).id, 'a/b%c', 'the quotes of the draft are taken off')
  t.equal(headerOf(answer, 'location'), '/v1/feed/messages/a%2Fb%25c')
  const [message] = door.appended
  t.match(message, { id: 'a/b%c', key: 'k-1', isBinary: true })
  const expiresAt = message?.expiresAt ?? 0
  t.ok(expiresAt >= before + 60_000 && expiresAt <= Date.now() + 60_000)
  t.match(jsonOf(await raw(place, requestText('GET /v1/feed/messages/a%2Fb%25c'))), {
    id: 'a/b%c',
    state: 'queued',
  })
})

t.test('types of text are text frames, bytes are binary ones', async (t) => {
  const { door, place } = await serveUnix(t)
  const types: [string, boolean][] = [
    ['text/plain', false],
    ['text/csv; charset=UTF-8', false],
    ['application/json', false],
    ['Application/JSON;charset="utf-8"', false],
    ['application/octet-stream', true],
    ['application/octet-stream; x=y', true],
  ]
  for (const [type, isBinary] of types) {
    t.equal(statusOf(await raw(place, post({ 'content-type': type }))), 202, type)
    t.equal(door.appended.at(-1)?.isBinary, isBinary, type)
  }
})

t.test('a body in pieces and in chunks is put together', async (t) => {
  const { door, place } = await serveUnix(t)
  const text = post({ 'content-length': 10 }, 'hello')
  t.equal(statusOf(await raw(place, text.slice(0, 30), text.slice(30), 'wor', 'ld')), 202)
  const chunked = post({ 'transfer-encoding': 'chunked' }, '3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n')
  t.equal(statusOf(await raw(place, chunked)), 202)
  t.same(
    door.appended.map(({ body }) => body.toString()),
    ['helloworld', 'hello'],
  )
})

t.test('with Prefer: wait the answer is the receipt when it comes in time', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket, answer } = await openRaw(place)
  socket.write(post({ prefer: 'respond-async, Wait="60"; x=y', 'idempotency-key': 'm1' }))
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 1,
    { what: 'the request to wait' },
  )
  door.settle('m1', { state: 'delivered', receipt: { level: 'received', epoch: 3, rtt: 12 } })
  const text = await answer
  t.equal(statusOf(text), 200)
  t.equal(headerOf(text, 'preference-applied'), 'wait=60')
  t.same(jsonOf(text), { id: 'm1', state: 'delivered', receipt: { level: 'received', epoch: 3, rtt: 12 } })
})

t.test('a message that is given up within the wait is told with its reason', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket, answer } = await openRaw(place)
  socket.write(post({ prefer: 'wait=999999', 'idempotency-key': 'm1' }))
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 1,
    { what: 'the request to wait' },
  )
  door.settle('m1', { state: 'parked', reason: 'closed with 1008' })
  const text = await answer
  t.equal(statusOf(text), 200)
  t.equal(headerOf(text, 'preference-applied'), 'wait=300', 'cut to the most there is')
  t.same(jsonOf(text), { id: 'm1', state: 'parked', reason: 'closed with 1008' })
})

t.test('a wait that is over is answered 202', async (t) => {
  const { door, place } = await serveUnix(t)
  const text = await raw(place, post({ prefer: 'wait=1', 'idempotency-key': 'm1' }))
  t.equal(statusOf(text), 202)
  t.same(jsonOf(text), { id: 'm1', state: 'queued' })
  t.equal(door.waiting, 0)
})

t.test('a drain answers whoever waits at once, and messages are still taken', async (t) => {
  const { door, ingress, place } = await serveUnix(t)
  const { socket, answer } = await openRaw(place)
  socket.write(post({ prefer: 'wait=60', 'idempotency-key': 'm1' }))
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 1,
    { what: 'the request to wait' },
  )
  ingress.beginDrain()
  t.equal(statusOf(await answer), 202)
  t.equal(statusOf(await raw(place, post({ prefer: 'wait=60', 'idempotency-key': 'm2' }))), 202)
  t.same(
    door.appended.map(({ id }) => id),
    ['m1', 'm2'],
  )
})

t.test('a caller that goes away while it waits is waited for no more', async (t) => {
  const { door, place } = await serveUnix(t)
  const { socket } = await openRaw(place)
  socket.write(post({ prefer: 'wait=60' }))
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 1,
    { what: 'the request to wait' },
  )
  socket.destroy()
  await eventually(
    () => door.waiting,
    (waiting) => waiting === 0,
    { what: 'nobody to wait' },
  )
})

t.test('a repetition is told its fate, another message of the same id is a conflict', async (t) => {
  const { door, place } = await serveUnix(t)
  const headers = { 'idempotency-key': 'm1' }
  await raw(place, post(headers))
  const queued = await raw(place, post(headers))
  t.equal(statusOf(queued), 202)
  t.same(jsonOf(queued), { id: 'm1', state: 'queued', duplicate: true })
  door.settle('m1', { state: 'delivered' })
  const delivered = await raw(place, post(headers))
  t.equal(statusOf(delivered), 200)
  t.same(jsonOf(delivered), { id: 'm1', state: 'delivered', duplicate: true })
  const conflict = await raw(place, post(headers, 'other'))
  t.equal(statusOf(conflict), 409)
  t.match(jsonOf(conflict), { status: 409, code: 'FORKSAFE_ERR_RELAY_CONFLICT' })
  t.equal(door.appended.length, 1)
})

t.test('what the door refuses is told with the time after which to come again', async (t) => {
  const { door, place } = await serveUnix(t)
  const cases = [
    ['FORKSAFE_ERR_RELAY_FULL', 503],
    ['FORKSAFE_ERR_RELAY_DISK_FULL', 507],
    ['FORKSAFE_ERR_RELAY_DISK', 503],
    ['FORKSAFE_ERR_RELAY_UNAVAILABLE', 503],
  ] as const
  for (const [code, status] of cases) {
    door.refusal = { code, message: 'no room', retryAfter: 2.5 }
    const answer = await raw(place, post())
    t.equal(statusOf(answer), status, code)
    t.equal(headerOf(answer, 'retry-after'), '3', code)
    t.equal(headerOf(answer, 'content-type'), 'application/problem+json')
    t.match(jsonOf(answer), { type: 'about:blank', status, code, detail: 'no room' })
  }
})

t.test('the fate of a message can be asked for, with GET and HEAD', async (t) => {
  const { door, place } = await serveUnix(t)
  await raw(place, post({ 'idempotency-key': 'm1' }))
  door.settle('m1', { state: 'expired' })
  t.match(jsonOf(await raw(place, requestText('GET /v1/feed/messages/m1'))), {
    id: 'm1',
    state: 'expired',
    seq: 1,
  })
  const head = await raw(place, requestText('HEAD /v1/feed/messages/m1'))
  t.equal(statusOf(head), 200)
  t.ok(head.endsWith('\r\n\r\n'), 'no body')
  t.match(jsonOf(await raw(place, requestText(`GET /v1/feed/messages/${randomUUID()}`))), {
    status: 404,
    code: 'FORKSAFE_ERR_RELAY_UNKNOWN_MESSAGE',
  })
  door.unreachable = new Error('nobody owns the spool')
  const answer = await raw(place, requestText('GET /v1/feed/messages/m1'))
  t.equal(statusOf(answer), 503)
  t.equal(headerOf(answer, 'retry-after'), '1')
})

t.test('the clients are listed', async (t) => {
  const { place } = await serveUnix(t)
  t.same(jsonOf(await raw(place, requestText('GET /v1'))), { clients: ['feed'] })
})

t.test('connections are kept and requests on them answered in order', async (t) => {
  const { door, place } = await serveUnix(t)
  const ids = Array.from({ length: 50 }, (_, index) => `m${index}`)
  const all = ids.map((id) => post({ 'idempotency-key': id, connection: 'keep-alive' }, id)).join('')
  const answer = await raw(place, all + requestText('GET /v1'))
  t.same(
    [...answer.matchAll(/"id":"(m\d+)"/g)].map(([, id]) => id),
    ids,
  )
  t.same(
    door.appended.map(({ body }) => body.toString()),
    ids,
  )
})

const batch = async (t: Test, body: string | Buffer, headers = {}) => {
  const served = await serveUnix(t)
  const all = {
    'content-type': 'application/x-ndjson',
    'content-length': Buffer.byteLength(body),
    ...headers,
  }
  const answer = await raw(served.place, requestText('POST /v1/feed/batch', all), body)
  return { ...served, answer }
}

t.test('a batch is taken whole, in order', async (t) => {
  const lines = [
    '{"data":"one","id":"1","key":"k","ttl":5}',
    '{"base64":"AAEC"}',
    '{"data":"dr\\u00fcben \\ud83d\\ude00"}',
  ]
  for (const [name, body] of [
    ['lines', `${lines.join('\n')}\n`],
    ['CRLF', `${lines.join('\r\n')}\r\n`],
    ['no last newline', lines.join('\n')],
    ['a byte order mark', `\ufeff${lines.join('\n')}`],
    ['empty lines between', `\n${lines.join('\n\r\n\n')}\n\n`],
  ] as const) {
    const { door, answer } = await batch(t, body)
    t.equal(statusOf(answer), 202, name)
    t.match(jsonOf(answer), {
      results: [{ id: '1', state: 'queued' }, { state: 'queued' }, { state: 'queued' }],
    })
    t.match(
      door.appended,
      [{ id: '1', key: 'k', isBinary: false }, { isBinary: true }, { isBinary: false }],
      name,
    )
    t.same(
      door.appended.map(({ body: each }) => each.toString()),
      ['one', '\0\x01\x02', 'drüben 😀'],
    )
  }
})

t.test('in a batch repetitions and conflicts are told in their places', async (t) => {
  const lines = [
    '{"data":"a","id":"1"}',
    '{"data":"a","id":"1"}',
    '{"data":"b","id":"1"}',
    '{"data":"c","id":"2"}',
  ]
  const { door, answer } = await batch(t, lines.join('\n'))
  t.equal(statusOf(answer), 207)
  t.match(jsonOf(answer).results, [
    { id: '1', state: 'queued' },
    { id: '1', state: 'queued', duplicate: true },
    { id: '1', error: { code: 'FORKSAFE_ERR_RELAY_CONFLICT' } },
    { id: '2', state: 'queued' },
  ])
  t.equal(door.appended.length, 2)
})

t.test('a batch of which nothing was taken is refused as a single message is', async (t) => {
  const { door, place } = await serveUnix(t)
  door.refusal = { code: 'FORKSAFE_ERR_RELAY_DISK_FULL', message: 'no room', retryAfter: 5 }
  const answer = await raw(
    place,
    requestText(
      'POST /v1/feed/batch',
      { 'content-type': 'application/x-ndjson' },
      '{"data":"a"}\n{"data":"b"}',
    ),
  )
  t.equal(statusOf(answer), 507)
  t.equal(headerOf(answer, 'retry-after'), '5')
  t.match(jsonOf(answer), { code: 'FORKSAFE_ERR_RELAY_DISK_FULL', results: [{ error: {} }, { error: {} }] })
})
