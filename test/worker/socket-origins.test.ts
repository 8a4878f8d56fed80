// What a worker says of the sockets that it dialled: where to, from which line, for which client; on the Node that runs
// this, which may be one that publishes no sockets of TLS.

import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { SocketOrigin } from '../../src/shared/socket-origins.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { fixture, Primary } from './support/primary.js'

const NAME = 'dials-out.js'

const lineOf = (what: string): RegExp => {
  const lines = readFileSync(fixture(NAME), 'utf8').split('\n')
  return new RegExp(`${NAME}:${lines.findIndex((line) => line.endsWith(`// at: ${what}`)) + 1}:\\d+$`)
}

const start = async (t: Test) => {
  const upstream = await recordingUpstream(t)
  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, resolve))
  t.teardown(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const primary = new Primary(t, NAME, {
    readiness: 'ready',
    env: { PLAIN: String(port), UPSTREAM: upstream.url },
  })
  const { id } = await primary.fork()
  await primary.frame(id, 'ready')
  const act = async (what: string): Promise<void> => {
    const before = primary.reports.length
    primary.tellApp(id, what)
    await primary.until(`'${what}' to be done`, () =>
      primary.reports.slice(before).find(({ event, message }) => event === 'appMessage' && message === what),
    )
  }
  let question = 0
  const sockets = async (): Promise<SocketOrigin[]> => {
    const number = ++question
    primary.order(id, { type: 'askSockets', id: number })
    const answer = await primary.until(`answer ${number}`, () =>
      primary.frames(id, 'sockets').find((frame) => frame.id === number),
    )
    return answer.sockets
  }
  return { act, sockets, port, upstreamPort: Number(new URL(upstream.url).port), accepted }
}

t.test('sockets are grouped by endpoint, place and client', async (t) => {
  const { act, sockets, port, upstreamPort, accepted } = await start(t)
  for (const what of ['plain', 'plain', 'tls', 'ws', 'guarded', 'protected']) await act(what)
  const origins = await sockets()
  const at = (what: string) => origins.filter((origin) => lineOf(what).test(origin.at ?? ''))

  const nothing = { webSocket: false, client: null, inRequest: null, closed: 0 }
  t.match(at('plain'), [{ ...nothing, host: 'localhost', port, opened: 2 }])
  const ports = at('plain')[0]?.open.map(({ localPort }) => localPort)
  const seen = accepted.map(({ remotePort }) => remotePort)
  t.equal(ports?.length, 2)
  t.ok(ports?.every((one) => seen.includes(one)))
  t.ok(at('plain')[0]?.open.every(({ ageMs }) => ageMs >= 0 && ageMs < 60_000))
  t.match(at('tls'), [{ ...nothing, host: '127.0.0.1', port, opened: 1 }])
  t.match(at('ws'), [{ ...nothing, port: upstreamPort, webSocket: true, opened: 1 }])
  t.match(at('protected'), [{ port, client: { name: 'pool', epoch: 1 }, opened: 1 }])
  const guarded = origins.filter(({ client }) => client?.name === 'feed')
  t.match(guarded, [{ port: upstreamPort, webSocket: true, client: { epoch: 1 }, opened: 1 }])
  t.equal(origins.length, 5)
})

t.test('closed ones are counted on, and not listed', async (t) => {
  const { act, sockets } = await start(t)
  for (const what of ['plain', 'plain', 'close', 'plain']) await act(what)
  const [origin, ...more] = await sockets()
  t.match(origin, { opened: 3, closed: 2 })
  t.equal(origin?.open.length, 1)
  t.same(more, [])
})
