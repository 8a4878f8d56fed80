// The health endpoint by itself: what it answers, and what it does not let others do to it.

import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type HealthServer, serveHealth } from '../../src/control/health-server.js'
import { withDeadline } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'

const READY = { isReady: true, reason: '2 of 2 workers ready' }

const serve = async (t: Test, readiness = () => READY): Promise<{ server: HealthServer; port: number }> => {
  const port = await freePort()
  const server = await serveHealth({ host: '127.0.0.1', port }, readiness)
  t.teardown(() => server.close())
  return { server, port }
}

/** Writes `text` and reads to the end of the connection. */
const exchange = (port: number, text: string): Promise<string> =>
  withDeadline(
    new Promise<string>((resolve) => {
      let read = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.setEncoding('utf8')
      socket.on('data', (data) => {
        read += data
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(read))
    }),
    { what: 'the server to end the connection' },
  )

const ask = async (port: number, path: string, method = 'GET'): Promise<[status: number, body: string]> => {
  const answer = await exchange(port, `${method} ${path} HTTP/1.1\r\nhost: pod\r\n\r\n`)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return [Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body]
}

t.test('/livez is alive whatever happens, /readyz is asked each time', async (t) => {
  const now = { ...READY }
  const { port } = await serve(t, () => now)
  t.same(await ask(port, '/livez'), [200, 'alive\n'])
  t.same(await ask(port, '/readyz'), [200, '2 of 2 workers ready\n'])
  t.same(await ask(port, '/readyz?verbose'), [200, '2 of 2 workers ready\n'])
  t.same(await ask(port, '/readyz', 'HEAD'), [200, ''])
  Object.assign(now, { isReady: false, reason: 'stopping' })
  t.same(await ask(port, '/readyz'), [503, 'not ready: stopping\n'])
  t.same(await ask(port, '/livez'), [200, 'alive\n'])
})

t.test('it answers nothing else', async (t) => {
  const { port } = await serve(t)
  for (const path of ['/', '/livez/', '/v1/status', '/readyz/../v1/stop', '*'])
    t.match(await ask(port, path), [404, /there is \/livez/], path)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
    t.match(await ask(port, '/readyz', method), [405, /only GET and HEAD/], method)
  t.match(await exchange(port, 'no http\r\n\r\n'), /^HTTP\/1\.1 400 /)
  t.match(await exchange(port, `GET / HTTP/1.1\r\nx: ${'a'.repeat(8_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
})

t.test('who says nothing is cut off, and does not keep others from an answer', async (t) => {
  const { port } = await serve(t)
  const silent = await Promise.all(Array.from({ length: 30 }, () => connected(port)))
  const begun = performance.now()
  t.same(await ask(port, '/livez'), [200, 'alive\n'])
  const ends = silent.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
  await withDeadline(Promise.all(ends), { what: 'the silent ones to be cut off', timeout: 6_000 })
  t.ok(performance.now() - begun < 5_000)
})

t.test('closing waits for nobody and frees the port', async (t) => {
  const { server, port } = await serve(t)
  await connected(port)
  await withDeadline(server.close(), { what: 'it to be closed', timeout: 1_000 })
  const again = await serveHealth({ host: '127.0.0.1', port }, () => READY)
  await again.close()
})

t.test('an address that cannot be had is told in one line', async (t) => {
  const { port } = await serve(t)
  const code = 'FORKSAFE_ERR_HEALTH_ADDRESS'
  await t.rejects(
    serveHealth({ host: '127.0.0.1', port }, () => READY),
    {
      code,
      message: `health: http://127.0.0.1:${port} is in use; name an address of this machine and a free port`,
    },
  )
  await t.rejects(
    serveHealth({ host: '192.0.2.1', port }, () => READY),
    {
      code,
      message: /cannot be listened on \(EADDRNOTAVAIL\)/,
    },
  )
})

const connected = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket)).resume()
    socket.on('error', reject)
  })
