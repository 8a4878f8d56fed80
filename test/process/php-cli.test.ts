// examples/php with answers of every kind, by php-cli against a stand-in for the relay: what is thrown, what is kept, how
// long it takes; and the fallback's file under many writers, torn lines and runs that were killed. The real relay is behind
// php-fpm.test.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createPlainServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

const PHP = '/usr/bin/php8.2'
const needs = needsPackage('php8.2-cli', PHP)

interface Asked {
  path: string
  headers: IncomingMessage['headers']
  body: string
}

interface StandIn {
  address: string
  asked: Asked[]
}

const standIn = async (
  t: Test,
  answer: (response: ServerResponse, asked: Asked, number: number) => void,
): Promise<StandIn> => {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const one = { path: request.url ?? '', headers: request.headers, body: await text(request) }
    asked.push(one)
    answer(response, one, asked.length)
  })
  return { address: await listening(t, server), asked }
}

/** Short: the path of a socket has 107 bytes at most. */
const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-php-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

const listening = async (t: Test, server: Server | ReturnType<typeof createPlainServer>): Promise<string> => {
  const path = `${folderOf(t)}/relay.sock`
  server.listen(path)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
  return `unix://${path}`
}

const json = (response: ServerResponse, status: number, value: object): void => {
  const body = JSON.stringify(value)
  response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Takes everything, singly and by batch. */
const taking = (response: ServerResponse, { path, body, headers }: Asked): void => {
  if (!path.endsWith('/batch'))
    return json(response, 202, { id: headers['idempotency-key'], state: 'queued' })
  const lines = body.trimEnd().split('\n')
  json(response, 202, { results: lines.map((line) => ({ id: JSON.parse(line).id, state: 'queued' })) })
}

interface Task {
  address: string
  connectTimeout?: number
  timeout?: number
  token?: string
  file?: string
  maxBytes?: number
  calls: [name: string, args: object][]
}

type Said = Record<string, unknown>

const php = async (task: Task): Promise<Said[]> => {
  const child = spawn(PHP, ['-n', 'test/process/fixtures/php/call-relay.php', 'examples/php'], {
    env: cleanEnv(),
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 20_000,
  })
  child.stdin.end(JSON.stringify(task))
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  return said
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

const publish = (message: string, more: object = {}): [string, object] => [
  'publish',
  { client: 'feed', message, ...more },
]
const idsIn = (asked: readonly Asked[]): string[] =>
  asked.flatMap(({ path, body }) =>
    path.endsWith('/batch')
      ? body
          .trimEnd()
          .split('\n')
          .map((line) => String(JSON.parse(line).id))
      : [],
  )

t.test('what a call says is what the relay is asked', needs, async (t) => {
  const { address, asked } = await standIn(t, taking)
  const said = await php({
    address,
    token: 'a-secret-of-sixteen',
    calls: [
      publish('grüße', { id: 'a', ttl: 60, key: 'till 4', wait: 2 }),
      publish('\u0000\u0001', { binary: true }),
      [
        'publishBatch',
        {
          client: 'a b',
          messages: [
            { data: 'one', id: '1' },
            { data: 'two', ttl: 5, key: 'k' },
          ],
        },
      ],
      ['publishBatch', { client: 'feed', messages: [] }],
      publish('x', { id: 'a\r\nX-Evil: 1' }),
      ['fate', { client: 'feed', id: 'a/b' }],
    ],
  })
  t.match(asked[0], {
    path: '/v1/feed',
    body: 'grüße',
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'idempotency-key': 'a',
      ttl: '60',
      'ordering-key': 'till 4',
      prefer: 'wait=2',
      authorization: 'Bearer a-secret-of-sixteen',
    },
  })
  t.match(asked[1]?.headers, {
    'content-type': 'application/octet-stream',
    'idempotency-key': /^[0-9a-f]{32}$/,
  })
  t.equal(asked[2]?.path, '/v1/a%20b/batch')
  t.match(
    asked[2]?.body,
    /^\{"id":"1","data":"one"\}\n\{"id":"[0-9a-f]{32}","ttl":5,"key":"k","data":"two"\}\n$/,
  )
  t.equal(asked[3]?.path, '/v1/feed/messages/a%2Fb')
  t.equal(asked.length, 4, 'a line break in a header is refused before')
  t.match(said, [
    { id: 'a', state: 'queued' },
    { state: 'queued' },
    [{ id: '1' }, {}],
    [],
    { thrown: 'RelayRefused', message: /line break/ },
    { state: 'queued' },
  ])
})

t.test('what is refused for good is thrown, and what is not is kept under its id', needs, async (t) => {
  const statuses = [400, 409, 413, 404, 408, 503, 507, 500]
  const { address } = await standIn(t, (response, _asked, number) =>
    json(response, statuses[number - 1] ?? 202, { detail: 'because', code: 'CODE' }),
  )
  const file = `${folderOf(t)}/kept.jsonl`
  const said = await php({
    address,
    file,
    calls: statuses.map((status) => publish('m', { id: `${status}` })),
  })
  const isKept = (status: number) => status === 408 || status >= 500
  t.match(
    said,
    statuses.map((status) =>
      isKept(status) ? { id: `${status}`, state: 'kept' } : { thrown: 'RelayRefused', message: 'because' },
    ),
  )
  const kept = readFileSync(file, 'utf8').trimEnd().split('\n')
  t.same(
    kept.map((line) => JSON.parse(line).id),
    statuses.filter(isKept).map(String),
  )
})

t.test('a relay that hangs, ends, talks nonsense or is not there holds nobody up', needs, async (t) => {
  const behaviours = [
    '',
    'HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n{"id',
    'hello\r\ncontent-length: 0\r\n\r\n',
    'end',
  ]
  let connections = 0
  const server = createPlainServer((socket) => {
    const what = behaviours[connections++] ?? ''
    socket.on('error', () => {})
    socket.once('data', () => (what === 'end' ? socket.end() : socket.write(what)))
    t.teardown(() => socket.destroy())
  })
  const address = await listening(t, server)
  const begun = performance.now()
  const said = await php({ address, timeout: 0.3, calls: behaviours.map(() => publish('m')) })
  t.match(
    said.map(({ thrown, message }) => `${thrown}: ${message}`),
    [
      'RelayUnavailable: the relay did not answer in time',
      'RelayUnavailable: the relay did not answer in time',
      /^RelayUnavailable: /,
      'RelayUnavailable: the relay ended the connection before it had answered',
    ],
  )
  t.ok(performance.now() - begun < 3_000, 'within their timeouts')
  t.match(await php({ address: 'unix:///nowhere/relay.sock', calls: [publish('m')] }), [
    { thrown: 'RelayUnavailable', message: /^no relay at unix:\/\/\/nowhere/ },
  ])
})

t.test('a large message goes out and a refusal in the middle of it is read', needs, async (t) => {
  const { address, asked } = await standIn(t, taking)
  const early = createServer((_request, response) => json(response, 413, { detail: 'too large' }))
  const earlyAddress = await listening(t, early)
  const large = 'x'.repeat(900_000)
  t.match(await php({ address, calls: [publish(large)] }), [{ state: 'queued' }])
  t.equal(asked[0]?.body.length, large.length)
  t.match(await php({ address: earlyAddress, calls: [publish(large)] }), [
    { thrown: 'RelayRefused', message: 'too large' },
  ])
})

t.test(
  'many writers and two runs at once: each message is handed in once, in its writer’s order',
  needs,
  async (t) => {
    const { address, asked } = await standIn(t, taking)
    const file = `${folderOf(t)}/kept.jsonl`
    const nowhere = 'unix:///nowhere/relay.sock'
    const writers = Array.from({ length: 6 }, (_, writer) =>
      php({
        address: nowhere,
        file,
        calls: Array.from({ length: 40 }, (_, at) => publish('m', { id: `${writer}-${at}` })),
      }),
    )
    const runs = Array.from({ length: 2 }, () =>
      php({ address, file, calls: Array.from({ length: 15 }, () => ['flush', {}]) }),
    )
    await Promise.all([...writers, ...runs])
    const [last] = await php({ address, file, calls: [['flush', {}]] })
    t.match(last, { isDone: true, refused: 0 })
    const ids = idsIn(asked)
    t.equal(ids.length, 240)
    t.equal(new Set(ids).size, 240)
    for (let writer = 0; writer < 6; writer++)
      t.same(
        ids.filter((id) => id.startsWith(`${writer}-`)),
        Array.from({ length: 40 }, (_, at) => `${writer}-${at}`),
      )
    t.notOk(existsSync(file) || existsSync(`${file}.handing`), 'no file is left')
  },
)

t.test('torn lines, runs that were killed, what has expired and what is refused', needs, async (t) => {
  const folder = folderOf(t)
  const file = `${folder}/kept.jsonl`
  const line = (id: string, more: object = {}) =>
    `${JSON.stringify({ at: Math.floor(Date.now() / 1_000), client: 'feed', id, data: 'bQ==', binary: false, ...more })}\n`
  // A run that was killed after the first line, and a writer that was killed in the middle of its own.
  writeFileSync(`${file}.handing`, line('one') + line('two') + line('late', { at: 1_000, ttl: 5 }))
  writeFileSync(`${file}.done`, `${line('one').length}`)
  writeFileSync(file, `${line('three')}{"at":1,"cl`)
  const { address, asked } = await standIn(t, (response, one) => {
    if (one.body.includes('"bad"')) return json(response, 400, { detail: 'line 2: bad' })
    taking(response, one)
  })
  const nowhere = 'unix:///nowhere/relay.sock'
  const keyed = { id: 'four', key: 'k' }
  t.match(await php({ address: nowhere, file, calls: [publish('m', keyed), publish('m', { id: 'bad' })] }), [
    { state: 'kept' },
    { state: 'kept' },
  ])
  const [waiting, flushed, after] = await php({
    address,
    file,
    calls: [publish('m', { id: 'five', key: 'k' }), ['flush', {}], publish('m', { id: 'six', key: 'k' })],
  })
  t.match(waiting, { state: 'kept' }, 'what keeps its order waits behind what is in the file')
  t.match(flushed, { handedIn: 4, expired: 1, refused: 2, isDone: true })
  t.match(after, { state: 'queued' })
  const taken = asked.filter(({ body }) => !body.includes('"bad"'))
  t.same([...new Set(idsIn(taken))], ['two', 'three', 'four', 'five'])
  const refused = readFileSync(`${file}.refused`, 'utf8').trimEnd().split('\n')
  t.match(refused.map((row) => JSON.parse(row).why).sort(), ['line 2: bad', 'this line is not whole'])
})

t.test(
  'a file that is full refuses, and a relay without room keeps what it did not take',
  needs,
  async (t) => {
    const folder = folderOf(t)
    const file = `${folder}/kept.jsonl`
    const nowhere = 'unix:///nowhere/relay.sock'
    t.match(await php({ address: nowhere, file, maxBytes: 200, calls: [publish('m'), publish('m')] }), [
      { state: 'kept' },
      { thrown: 'RelayUnavailable', message: /is full$/ },
    ])
    const { address } = await standIn(t, (response) =>
      json(response, 207, {
        results: [{ id: '1', error: { code: 'FULL', detail: 'no room', retryAfter: 1 } }],
      }),
    )
    t.match(await php({ address, file, calls: [['flush', {}]] }), [
      { handedIn: 0, isDone: false, why: 'no room' },
    ])
    t.ok(existsSync(`${file}.handing`))
  },
)

t.test('the Laravel-style service publishes JSON, and is made once', needs, async (t) => {
  const { address, asked } = await standIn(t, taking)
  const child = spawn(PHP, ['-n', 'test/process/fixtures/php/laravel-stand-in.php', 'examples/php'], {
    env: cleanEnv({ RELAY_ADDRESS: address, RELAY_FALLBACK: `${folderOf(t)}/kept.jsonl` }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  t.match(JSON.parse(said), {
    published: { id: 'seven', state: 'queued' },
    isOne: true,
    flushed: { isDone: true },
  })
  t.match(asked, [
    { body: '{"number":7}', headers: { 'idempotency-key': 'seven', 'ordering-key': 'k', ttl: '9' } },
  ])
})
