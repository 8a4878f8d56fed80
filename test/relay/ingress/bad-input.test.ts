// What a relay answers to requests that are wrong, one connection each. After every one: nothing was appended, a good
// caller is served, and no connection is left.

import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { noSocketIsLeft, openSockets } from './open-sockets.js'
import {
  headerOf,
  jsonOf,
  MAX_MESSAGE,
  raw,
  requestText,
  type Served,
  serveTcp,
  serveUnix,
  statusOf,
  TOKEN,
} from './serving.js'

const AUTH = { authorization: `Bearer ${TOKEN}` }

interface Bad {
  title: string
  send: readonly (string | Buffer)[]
  status: number
  code: string
}

const isSorry = (t: Test, answer: string, { title, status, code }: Omit<Bad, 'send'>): void => {
  t.equal(statusOf(answer), status, title)
  if (/^HEAD/.test(title)) return
  t.equal(headerOf(answer, 'content-type'), 'application/problem+json', title)
  t.match(
    jsonOf(answer),
    { type: 'about:blank', status, code: `FORKSAFE_ERR_RELAY_${code}`, detail: /\w/ },
    title,
  )
  if (status === 503 || status === 507) t.match(headerOf(answer, 'retry-after'), /^\d+$/, title)
}

const nothingCame = async (t: Test, { door, place }: Served, title: string): Promise<void> => {
  t.same(door.appended, [], `${title}: nothing was appended`)
  const headers = typeof place === 'number' ? { ...AUTH, host: `127.0.0.1:${place}` } : {}
  const answer = await raw(
    place,
    requestText('POST /v1/feed', { ...headers, 'idempotency-key': 'good' }, 'good'),
  )
  t.equal(statusOf(answer), 202, `${title}: a good caller is served`)
  door.appended.length = 0
}

const tryEach = async (t: Test, served: Served, all: readonly Bad[]): Promise<void> => {
  const before = openSockets()
  for (const bad of all) {
    isSorry(t, await raw(served.place, ...bad.send), bad)
    await nothingCame(t, served, bad.title)
  }
  await noSocketIsLeft(before)
}

const post = (headers: Record<string, string | number>, body = 'hello'): string[] => [
  requestText('POST /v1/feed', headers, body),
]
const request = (line: string, headers = {}, body = ''): string[] => [requestText(line, headers, body)]

t.test('wrong paths and methods', async (t) => {
  const served = await serveUnix(t)
  const none = { status: 404, code: 'REQUEST' }
  const noClient = { status: 404, code: 'UNKNOWN_CLIENT' }
  const paths: Bad[] = [
    '/',
    '//v1/feed',
    '/v1/',
    '/v2/feed',
    '/V1/feed',
    '/v1/feed/',
    '/v1//feed',
    '/v1/feed/x',
    '/v1/feed/batch/',
    '/v1/feed/messages',
    '/v1/feed/messages/',
    '/v1/../v1/feed',
    '/v1/%66eed',
    '/v1/fe%2fed',
    '/v1/feed%2fbatch',
    '/v1/feed%00',
    '/v1/feed;x',
    '/v1/feed#x',
    `/v1/${'f'.repeat(65)}`,
  ].map((path) => ({ title: path, send: request(`POST ${path}`, {}, 'hello'), ...none }))
  const clients = ['/v1/other', '/v1/..', '/v1/.', '/v1/Feed', '/v1/__proto__', '/v1/constructor/batch'].map(
    (path): Bad => ({ title: path, send: request(`POST ${path}`, {}, 'hello'), ...noClient }),
  )
  const targets = ['/v1/feed?x=1', '/v1?', 'http://localhost/v1/feed', '*'].map(
    (path): Bad => ({
      title: path,
      send: request(`POST ${path}`, {}, 'hello'),
      status: 400,
      code: 'REQUEST',
    }),
  )
  const methods = [
    'GET /v1/feed',
    'PUT /v1/feed',
    'DELETE /v1/feed',
    'PATCH /v1/feed',
    'OPTIONS /v1/feed',
    'TRACE /v1/feed',
    'HEAD /v1/feed',
    'GET /v1/feed/batch',
    'POST /v1',
    'POST /v1/feed/messages/m1',
    'DELETE /v1/feed/messages/m1',
  ].map((line): Bad => ({ title: line, send: request(line), status: 405, code: 'METHOD' }))
  await tryEach(t, served, [...paths, ...clients, ...targets, ...methods])
  t.equal(headerOf(await raw(served.place, ...request('PUT /v1/feed')), 'allow'), 'POST')
  t.equal(headerOf(await raw(served.place, ...request('PUT /v1')), 'allow'), 'GET, HEAD')
  const badId = { title: 'an id that is not UTF-8', status: 400, code: 'REQUEST' }
  isSorry(t, await raw(served.place, ...request('GET /v1/feed/messages/%ff')), badId)
})

t.test('wrong headers', async (t) => {
  const served = await serveUnix(t)
  const wrong = (code: string, status: number, all: Record<string, string | number>[]): Bad[] =>
    all.map((headers) => ({ title: JSON.stringify(headers).slice(0, 80), send: post(headers), status, code }))
  await tryEach(t, served, [
    ...wrong('TYPE', 415, [
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { 'content-type': 'application/xml' },
      { 'content-type': 'text/plain; charset=iso-8859-1' },
      { 'content-type': 'application/json;charset=utf-16' },
      { 'content-type': 'text/' },
      { 'content-type': 'text' },
      { 'content-type': '' },
      { 'content-type': 'application/x-ndjson' },
      { 'content-encoding': 'gzip' },
      { 'content-encoding': 'identity, br' },
    ]),
    ...wrong('REQUEST', 400, [
      { 'idempotency-key': '' },
      { 'idempotency-key': '""' },
      { 'idempotency-key': 'a b' },
      { 'idempotency-key': 'x'.repeat(129) },
      { 'idempotency-key': 'dr\u00fcben' },
      { 'ordering-key': 'a\tb' },
      { 'ordering-key': 'x'.repeat(129) },
      { ttl: 0 },
      { ttl: -1 },
      { ttl: '1.5' },
      { ttl: '5s' },
      { ttl: '0x10' },
      { ttl: '9'.repeat(16) },
      { prefer: 'wait' },
      { prefer: 'wait=0' },
      { prefer: 'wait=-5' },
      { prefer: 'wait=soon' },
    ]),
    {
      title: 'two ids',
      send: [
        'POST /v1/feed HTTP/1.1\r\nhost: x\r\nconnection: close\r\nidempotency-key: a\r\nidempotency-key: b\r\ncontent-length: 1\r\n\r\nx',
      ],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'two times to live',
      send: [
        'POST /v1/feed HTTP/1.1\r\nhost: x\r\nconnection: close\r\nttl: 1\r\nttl: 2\r\ncontent-length: 1\r\n\r\nx',
      ],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'no Host',
      send: ['POST /v1/feed HTTP/1.1\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx'],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'another expectation',
      send: post({ expect: 'more' }),
      status: 417,
      code: 'REQUEST',
    },
  ])
})

t.test('wrong bodies', async (t) => {
  const served = await serveUnix(t)
  const large = 'x'.repeat(MAX_MESSAGE + 1)
  const chunkOf = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
  await tryEach(t, served, [
    { title: 'empty', send: post({ 'content-length': 0 }, ''), status: 400, code: 'REQUEST' },
    { title: 'empty, without a length', send: post({}, ''), status: 400, code: 'REQUEST' },
    {
      title: 'empty, in chunks',
      send: post({ 'transfer-encoding': 'chunked' }, '0\r\n\r\n'),
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'not UTF-8',
      send: [requestText('POST /v1/feed', { 'content-length': 2 }), Buffer.from([0xc3, 0x28])],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'half of a character',
      send: [requestText('POST /v1/feed', { 'content-length': 2 }), Buffer.from([0xe2, 0x82])],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'half of a surrogate pair',
      send: [requestText('POST /v1/feed', { 'content-length': 3 }), Buffer.from([0xed, 0xa0, 0x80])],
      status: 400,
      code: 'REQUEST',
    },
    { title: 'too large', send: post({}, large), status: 413, code: 'TOO_LARGE' },
    {
      title: 'too large, announced and not sent',
      send: [`${requestText('POST /v1/feed', { 'content-length': '99999999999' })}`],
      status: 413,
      code: 'TOO_LARGE',
    },
    {
      title: 'too large, in chunks',
      send: post(
        { 'transfer-encoding': 'chunked' },
        `${chunkOf(large.slice(0, 4_000))}${chunkOf(large)}0\r\n\r\n`,
      ),
      status: 413,
      code: 'TOO_LARGE',
    },
    {
      title: 'packed on the way',
      send: post({ 'transfer-encoding': 'gzip, chunked' }, '1\r\nx\r\n0\r\n\r\n'),
      status: 501,
      code: 'TYPE',
    },
  ])
})

t.test('what is no HTTP', async (t) => {
  const served = await serveUnix(t)
  const head = 'POST /v1/feed HTTP/1.1\r\nhost: x\r\n'
  const broken = { status: 400, code: 'REQUEST' }
  await tryEach(t, served, [
    { title: 'garbage', send: [randomBytes(300)], ...broken },
    { title: 'words', send: ['hello there\r\n\r\n'], ...broken },
    { title: 'NULs', send: [Buffer.alloc(64)], ...broken },
    { title: 'a NUL in a header', send: [`${head}x: a\0b\r\n\r\n`], ...broken },
    {
      title: 'a TLS hello',
      send: [Buffer.from('16030100c8010000c40303', 'hex'), randomBytes(190)],
      ...broken,
    },
    { title: 'HTTP/2', send: ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], ...broken },
    { title: 'HTTP/3.7', send: ['GET /v1 HTTP/3.7\r\n\r\n'], ...broken },
    { title: 'HTTP/0.9', send: ['GET /v1\r\n\r\n'], ...broken },
    { title: 'a line feed alone', send: ['POST /v1/feed HTTP/1.1\nhost: x\n\nx'], ...broken },
    { title: 'a space before the colon', send: [`${head}ttl : 5\r\n\r\n`], ...broken },
    { title: 'a folded header', send: [`${head}ttl: 5\r\n 6\r\n\r\n`], ...broken },
    { title: 'a method that is none', send: ['BREW /v1/feed HTTP/1.1\r\nhost: x\r\n\r\n'], ...broken },
    { title: 'a space in the path', send: ['GET /v1 /feed HTTP/1.1\r\nhost: x\r\n\r\n'], ...broken },
    { title: 'two lengths', send: [`${head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`], ...broken },
    {
      title: 'the same length twice',
      send: [`${head}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`],
      ...broken,
    },
    { title: 'two lengths in one', send: [`${head}content-length: 5, 5\r\n\r\nhello`], ...broken },
    { title: 'a length below none', send: [`${head}content-length: -5\r\n\r\nhello`], ...broken },
    { title: 'a length in hex', send: [`${head}content-length: 0x5\r\n\r\nhello`], ...broken },
    { title: 'a length with a sign', send: [`${head}content-length: +5\r\n\r\nhello`], ...broken },
    {
      title: 'a length beyond 64 bits',
      send: [`${head}content-length: ${'9'.repeat(30)}\r\n\r\nhello`],
      ...broken,
    },
    {
      title: 'a length and chunks',
      send: [`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
      ...broken,
    },
    {
      title: 'chunks and a length',
      send: [`${head}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`],
      ...broken,
    },
    { title: 'chunked is not last', send: [`${head}transfer-encoding: chunked, gzip\r\n\r\nx`], ...broken },
    {
      title: 'a chunk of no size',
      send: [`${head}transfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n`],
      ...broken,
    },
    {
      title: 'a chunk below none',
      send: [`${head}transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n`],
      ...broken,
    },
    {
      title: 'a chunk beyond 64 bits',
      send: [`${head}transfer-encoding: chunked\r\n\r\n${'f'.repeat(17)}\r\nhello\r\n`],
      ...broken,
    },
    {
      title: 'a chunk longer than said',
      send: [`${head}transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n`],
      ...broken,
    },
    {
      title: 'a head of more than 8 KiB',
      send: [`${head}x: ${'y'.repeat(9_000)}\r\n\r\n`],
      status: 431,
      code: 'TOO_LARGE',
    },
    {
      title: 'a path of more than 8 KiB',
      send: [`GET /${'y'.repeat(9_000)} HTTP/1.1\r\nhost: x\r\n\r\n`],
      status: 431,
      code: 'TOO_LARGE',
    },
    {
      title: 'CONNECT',
      send: ['CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n'],
      status: 405,
      code: 'METHOD',
    },
    {
      title: 'a WebSocket',
      send: [
        'GET /v1/feed HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      ],
      ...broken,
    },
    {
      title: 'an upgrade with a message',
      send: [`${head}connection: Upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\nhello`],
      ...broken,
    },
  ])
})

t.test('wrong batches are refused whole, with the line', async (t) => {
  const served = await serveUnix(t)
  const good = '{"data":"good"}'
  const type = { 'content-type': 'application/x-ndjson' }
  const lines = [
    'x',
    '[]',
    '1',
    'null',
    '"text"',
    '{}',
    ' ',
    '{"data":1}',
    '{"data":""}',
    '{"data":null}',
    '{"data":{"a":1}}',
    '{"data":"a","base64":"YQ=="}',
    '{"base64":"a b"}',
    '{"base64":"YQ"}',
    '{"base64":""}',
    '{"data":"\\ud800"}',
    '{"data":"a","id":""}',
    '{"data":"a","id":"a b"}',
    '{"data":"a","id":5}',
    `{"data":"a","id":"${'x'.repeat(129)}"}`,
    '{"data":"a","ttl":0}',
    '{"data":"a","ttl":1.5}',
    '{"data":"a","ttl":"5"}',
    '{"data":"a","ttl":1e400}',
    '{"data":"a","key":""}',
    '{"data":"a","extra":1}',
    '{"data":"a","__proto__":{"id":"x"}}',
    '{"__proto__":{"data":"a"}}',
    '{"data":"a"',
    '{"data":"a"} {"data":"b"}',
    `{"data":${'['.repeat(100)}${']'.repeat(100)}}`,
    `{"data":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    `${'{"data":'.repeat(50_000)}`,
  ]
  await tryEach(t, served, [
    ...lines.map(
      (line): Bad => ({
        title: line.slice(0, 60),
        send: [requestText('POST /v1/feed/batch', type, `${good}\n${line}\n${good}\n`)],
        status: 400,
        code: 'REQUEST',
      }),
    ),
    {
      title: 'a message that is too large',
      send: [requestText('POST /v1/feed/batch', type, `${good}\n{"data":"${'x'.repeat(MAX_MESSAGE + 1)}"}`)],
      status: 413,
      code: 'TOO_LARGE',
    },
    {
      title: 'too many lines',
      send: [requestText('POST /v1/feed/batch', type, `${good}\n`.repeat(10_001))],
      status: 413,
      code: 'TOO_LARGE',
    },
    {
      title: 'too many bytes',
      send: [requestText('POST /v1/feed/batch', { ...type, 'content-length': 16 * 1024 * 1024 + 1 })],
      status: 413,
      code: 'TOO_LARGE',
    },
    {
      title: 'no line',
      send: [requestText('POST /v1/feed/batch', type, '\n\r\n')],
      status: 400,
      code: 'REQUEST',
    },
    { title: 'nothing', send: [requestText('POST /v1/feed/batch', type)], status: 400, code: 'REQUEST' },
    {
      title: 'not UTF-8',
      send: [
        requestText('POST /v1/feed/batch', { ...type, 'content-length': 13 }),
        Buffer.concat([Buffer.from('{"data":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      ],
      status: 400,
      code: 'REQUEST',
    },
    {
      title: 'of another type',
      send: [requestText('POST /v1/feed/batch', { 'content-type': 'application/json' }, `${good}\n`)],
      status: 415,
      code: 'TYPE',
    },
    {
      title: 'with an id for all',
      send: [requestText('POST /v1/feed/batch', { ...type, 'idempotency-key': 'x' }, `${good}\n`)],
      status: 400,
      code: 'REQUEST',
    },
  ])
  const answer = await raw(served.place, requestText('POST /v1/feed/batch', type, `${good}\n\nx\n`))
  t.match(jsonOf(answer).detail, /^line 3 is not a JSON object; nothing was taken/)
})

t.test('over TCP strangers are sent away on every path', async (t) => {
  const served = await serveTcp(t)
  const port = served.place
  const good = { ...AUTH, host: `127.0.0.1:${port}` }
  const refused = (title: string, status: number, code: string, headers: Record<string, string>): Bad[] =>
    ['POST /v1/feed', 'GET /v1', 'GET /nowhere', 'PUT /v1/feed', 'POST /v1/other'].map((line) => ({
      title: `${title}: ${line}`,
      send: request(line, headers, line.startsWith('POST') ? 'hello' : ''),
      status,
      code,
    }))
  await tryEach(t, served, [
    ...refused('no token', 401, 'TOKEN', { host: good.host }),
    ...refused('another token', 401, 'TOKEN', { ...good, authorization: 'Bearer another-token-of-16' }),
    ...refused('the token in part', 401, 'TOKEN', { ...good, authorization: `Bearer ${TOKEN.slice(1)}` }),
    ...refused('a longer token', 401, 'TOKEN', { ...good, authorization: `Bearer ${TOKEN}x` }),
    ...refused('no scheme', 401, 'TOKEN', { ...good, authorization: TOKEN }),
    ...refused('another scheme', 401, 'TOKEN', { ...good, authorization: `Basic ${TOKEN}` }),
    ...refused('an empty token', 401, 'TOKEN', { ...good, authorization: 'Bearer ' }),
    ...refused('two tokens', 401, 'TOKEN', { ...good, Authorization: 'Bearer x' }),
    ...refused('a foreign host', 421, 'ORIGIN', { ...good, host: `evil.example:${port}` }),
    ...refused('another port', 421, 'ORIGIN', { ...good, host: `127.0.0.1:${port + 1}` }),
    ...refused('no port', 421, 'ORIGIN', { ...good, host: '127.0.0.1' }),
    ...refused('an empty host', 421, 'ORIGIN', { ...good, host: '' }),
    ...refused('a web page', 403, 'ORIGIN', { ...good, origin: 'https://evil.example' }),
    ...refused('a web page of this host', 403, 'ORIGIN', { ...good, origin: `http://127.0.0.1:${port}` }),
    ...refused('a page of nobody', 403, 'ORIGIN', { ...good, origin: 'null' }),
    ...refused('a request across sites', 403, 'ORIGIN', { ...good, 'sec-fetch-site': 'cross-site' }),
    ...refused('a request of the same site', 403, 'ORIGIN', { ...good, 'sec-fetch-site': 'same-site' }),
    {
      title: 'two hosts',
      send: [`GET /v1 HTTP/1.1\r\nhost: ${good.host}\r\nhost: evil\r\nconnection: close\r\n\r\n`],
      status: 400,
      code: 'REQUEST',
    },
    { title: 'no host in HTTP/1.0', send: ['GET /v1 HTTP/1.0\r\n\r\n'], status: 400, code: 'REQUEST' },
  ])
  const bodies = new Set<string>()
  for (const authorization of ['', TOKEN, 'Bearer x', `Bearer ${TOKEN}x`, 'Basic eDp4'])
    bodies.add(
      JSON.stringify(jsonOf(await raw(port, ...request('GET /v1', { host: good.host, authorization })))),
    )
  t.equal(bodies.size, 1, 'whatever is wrong with a token is told in the same words')
  for (const host of [`localhost:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`]) {
    const answer = await raw(port, ...request('GET /v1', { ...good, host, 'sec-fetch-site': 'none' }))
    t.equal(statusOf(answer), 200, host)
  }
  t.equal(
    statusOf(await raw(port, ...request('GET /v1', { ...good, authorization: `bearer  ${TOKEN}` }))),
    200,
  )
})

t.test('over TCP what is no HTTP gets the same clear words', async (t) => {
  const served = await serveTcp(t)
  await tryEach(t, served, [
    { title: 'garbage', send: [randomBytes(300)], status: 400, code: 'REQUEST' },
    {
      title: 'a large head',
      send: [`GET /v1 HTTP/1.1\r\nx: ${'y'.repeat(9_000)}\r\n\r\n`],
      status: 431,
      code: 'TOO_LARGE',
    },
  ])
})

t.test('a request that is half there is answered 408 in the end, head or body', async (t) => {
  const limits = { headers: 150, request: 300, checking: 30 }
  const served = await serveUnix(t, { limits })
  const slow = { status: 408, code: 'REQUEST' }
  await tryEach(t, served, [
    { title: 'nothing', send: [], ...slow },
    { title: 'half a head', send: ['POST /v1/feed HT'], ...slow },
    {
      title: 'half a body',
      send: [requestText('POST /v1/feed', { 'content-length': 10 }), 'hello'],
      ...slow,
    },
    {
      title: 'half a chunk',
      send: [requestText('POST /v1/feed', { 'transfer-encoding': 'chunked' }), '5\r\nhel'],
      ...slow,
    },
    {
      title: 'no last chunk',
      send: [requestText('POST /v1/feed', { 'transfer-encoding': 'chunked' }), '5\r\nhello\r\n'],
      ...slow,
    },
  ])
})
