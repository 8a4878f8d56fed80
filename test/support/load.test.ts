// The load generator counts every failure by its kind, and never tries again.

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import t, { type Test } from 'tap'
import { freePort } from './free-port.js'
import { describeLoad, type LoadOptions, type LoadResult, startLoad } from './load.js'

const serve = async (t: Test, listener: RequestListener): Promise<{ port: number; server: Server }> => {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return { port: address.port, server }
}

/** Runs load until `count` requests have finished. */
const load = async (count: number, options: LoadOptions): Promise<LoadResult> => {
  const running = startLoad({ pause: 0, ...options })
  await running.finished(count)
  return running.stop()
}

t.test('each kind of client uses connections as its name says, and all answers are counted', async (t) => {
  let connections = 0
  const { port, server } = await serve(t, (request, response) => response.end(request.url))
  server.on('connection', () => {
    connections += 1
  })
  const kept = await load(50, { port, clients: { keepalive: 2 } })
  t.equal(connections, 2)
  t.equal(kept.failed, 0, describeLoad(kept))
  t.same(kept.answers, { '/': kept.requests })
  connections = 0
  const closed = await load(50, { port, clients: { close: 2 } })
  t.equal(connections, closed.requests)
  connections = 0
  const slow = await load(20, { port, clients: { slow: 2, slowReused: 2 }, slowPath: '/s' })
  t.equal(connections, slow.byLoad.slow.requests + 2)
  t.same(slow.answers, { '/s': slow.requests })
})

const kinds: [kind: string, listener: RequestListener][] = [
  ['socket hang up', (request) => request.socket.end()],
  ['ECONNRESET', (request) => request.socket.resetAndDestroy()],
  ['status 503', (_request, response) => response.writeHead(503).end()],
  [
    'TRUNCATED',
    (request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half')
      setImmediate(() => request.socket.destroy())
    },
  ],
  ['TIMEOUT', () => {}],
]
for (const [kind, listener] of kinds) {
  t.test(`a request that ends with ${kind} is counted as that, and not sent again`, async (t) => {
    let arrived = 0
    const { port } = await serve(t, (request, response) => {
      arrived += 1
      listener(request, response)
    })
    const result = await load(5, { port, clients: { close: 1 }, timeout: kind === 'TIMEOUT' ? 50 : 3_000 })
    t.equal(result.failed, result.requests)
    t.same(result.byKind, { [kind]: result.requests })
    t.equal(arrived, result.requests)
    t.match(result.firstFailures[0], { load: 'close', kind, reused: false })
  })
}

t.test('a connection that is refused is counted as that', async (t) => {
  const result = await load(5, { port: await freePort(), clients: { keepalive: 1 } })
  t.same(result.byKind, { ECONNREFUSED: result.requests })
})

t.test('a failure on a connection that had served before is told', async (t) => {
  const served = new WeakSet<object>()
  const { port } = await serve(t, (request, response) => {
    if (served.has(request.socket)) return request.socket.destroy()
    served.add(request.socket)
    response.end()
  })
  const result = await load(4, { port, clients: { keepalive: 1 } })
  t.ok(result.failed > 0)
  t.equal(result.failedOnReused, result.failed)
})

t.test('an answer that is not the expected one is a failure', async (t) => {
  const { port } = await serve(t, (_request, response) => response.end('old'))
  const result = await load(3, { port, clients: { close: 1 }, isExpected: (body) => body === 'new' })
  t.same(result.byKind, { 'unexpected body': result.requests })
})

t.test('stop lets what is in flight finish', async (t) => {
  const { port } = await serve(t, (_request, response) => setTimeout(() => response.end(), 100))
  const running = startLoad({ port, clients: { slow: 5 } })
  const result = await running.stop()
  t.match(result, { requests: 5, failed: 0 })
})
