import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type ClientHttp2Session, connect as connectH2 } from 'node:http2'
import { Agent, get as httpsGet, type RequestOptions } from 'node:https'
import { connect } from 'node:net'
import t from 'tap'
import { Primary } from './support/primary.js'
import { certificate } from './support/tls.js'

const CLEAN = { requests: 0, upgraded: 0, hooks: [] }
const files = certificate(t)

const secure = async (options: RequestOptions): Promise<{ connection: string | undefined; body: string }> => {
  const [response] = (await once(httpsGet({ ...options, rejectUnauthorized: false }), 'response')) as [
    IncomingMessage,
  ]
  let body = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk
  })
  await once(response, 'end')
  return { connection: response.headers.connection, body }
}

for (const KIND of ['https', 'h2']) {
  t.test(
    `HTTP/1.1 over the TLS of ${KIND} is answered in flight, and once more per connection`,
    async (t) => {
      const primary = new Primary(t, 'secure-app.js', { env: { KIND, ...files } })
      const { id, port } = await primary.serve()
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const idle = new Agent({ keepAlive: true, maxSockets: 1 })
      await secure({ port, agent: idle })
      const slow = secure({ port, agent, path: '/slow' })
      await primary.said(id, 'asked')
      primary.drain(id, 20_000)
      await primary.frame(id, 'askBarrier')
      t.same(await secure({ port, agent: idle }), { connection: 'close', body: 'ok' })
      t.same(await slow, { connection: 'close', body: 'ok' })
      t.same((await primary.frame(id, 'drained')).forced, CLEAN)
      t.equal((await primary.exit(id)).code, 0)
      agent.destroy()
      idle.destroy()
    },
  )
}

const stream = async (session: ClientHttp2Session, path: string): Promise<string> => {
  const request = session.request({ ':path': path })
  let body = ''
  request.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk
  })
  await once(request, 'end')
  return body
}

for (const [KIND, scheme] of [
  ['h2', 'https'],
  ['h2c', 'http'],
] as const) {
  t.test(`${KIND}: streams in flight are answered, then the session is closed`, async (t) => {
    const primary = new Primary(t, 'secure-app.js', { env: { KIND, ...files } })
    const { id, port } = await primary.serve()
    const session = connectH2(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    t.equal(await stream(session, '/'), 'ok')
    const slow = stream(session, '/slow')
    await primary.said(id, 'asked')
    const goaway = once(session, 'goaway')
    const closed = once(session, 'close')
    primary.drain(id, 20_000)
    const [code, lastStream] = await goaway
    t.same({ code, lastStream }, { code: 0, lastStream: 2 ** 31 - 1 }, 'streams under way are still welcome')
    t.equal(await slow, 'ok')
    await closed
    t.same((await primary.frame(id, 'drained')).forced, CLEAN)
    t.equal((await primary.exit(id)).code, 0)
  })
}

t.test(
  'a connection of a plain net server is the peer’s or the app’s to end; at the deadline it is ours',
  async (t) => {
    const primary = new Primary(t, 'secure-app.js', { env: { KIND: 'net', ...files } })
    const { id, port } = await primary.serve()
    const [first, second] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
    for (const socket of [first, second]) {
      socket.write('x')
      await once(socket, 'data')
    }
    primary.drain(id, 1_000)
    await primary.frame(id, 'askBarrier')
    second.write('still served')
    t.equal(String((await once(second, 'data'))[0]), 'still served')
    first.end()
    await once(second.resume(), 'end')
    second.destroy()
    t.same((await primary.frame(id, 'drained')).forced, { ...CLEAN, upgraded: 1 })
  },
)
