// The request guard with real programs: every way to dial a WebSocket within a request is found once, with its line, in
// log and status, or rejected; and nothing else is. On the Node that runs this, and on another one.

import { readFileSync } from 'node:fs'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { CLI } from '../support/run-cli.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'
import { needsTool, otherNode } from '../support/tools.js'

uninstrumentChildren()

const FIXTURES = 'test/process/fixtures'
const FIXTURE = `${FIXTURES}/dials-in-requests.js`
const FRAMEWORKS = ['http', 'express', 'fastify', 'koa']

/** Marked in the fixture: way and `file:line`. */
const PLACES = new Map(
  readFileSync(FIXTURE, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const way = /\/\/ found: (\w+)/.exec(line)?.[1]
      return way === undefined ? [] : [[way, `${FIXTURE}:${index + 1}`] as const]
    }),
)
const RIGHT = ['shared', 'guarded', 'reconnect', 'protect', 'background', 'backgroundAtOnce', 'plain']
const RIGHT_TOO = ['keepAlive', 'keepAlive', 'fetch']

/** Counts upgrades; ends a connection that says `drop`. */
const startUpstream = async (t: Test) => {
  const server = createServer((_request, response) => response.end('hello'))
  const sockets = new WebSocketServer({ server })
  let upgrades = 0
  sockets.on('connection', (socket) => {
    upgrades++
    socket.on('message', (data) => String(data) === 'drop' && socket.close(1012))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `ws://127.0.0.1:${port}`, upgrades: () => upgrades }
}

const ask = (port: number, path: string): Promise<string> =>
  withDeadline(
    new Promise((resolve, reject) => {
      const request = get({ port, path, host: '127.0.0.1', agent: false }, (response) =>
        resolve(text(response)),
      )
      request.on('error', reject)
    }),
    { what: `an answer to ${path}` },
  )

/** A request, and behind it on the same connection an upgrade. */
const upgradeAfterRequest = (port: number): Promise<string> =>
  withDeadline(
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let seen = ''
      socket.setEncoding('latin1').on('error', reject)
      socket.on('data', (data: string) => {
        if (seen === '')
          socket.write(
            'GET /proxied HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
          )
        seen += data
      })
      socket.on('end', () => {
        socket.destroy()
        resolve(seen)
      })
      socket.write('GET /http/nothing HTTP/1.1\r\nhost: a\r\n\r\n')
    }),
    { what: 'an upgrade after a request' },
  )

interface World {
  port: number
  supervisor: SupervisorProcess
  upgrades: () => number
}

const start = async (
  t: Test,
  { mode, node = process.execPath, script = FIXTURE }: { mode: string; node?: string; script?: string },
): Promise<World> => {
  const { url, upgrades } = await startUpstream(t)
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    executable: node,
    program: [
      CLI,
      'start',
      script,
      '--request-guard',
      mode,
      '--log-format',
      'json',
      '--node-args=--experimental-websocket --no-warnings',
    ],
    env: { PORT: String(port), UPSTREAM: url },
  })
  await supervisor.waitUntilReady()
  return { port, supervisor, upgrades }
}

const found = async ({ supervisor }: World) =>
  (await supervisor.status()).workers.flatMap((worker) => worker.connectsInRequests)

const logged = ({ supervisor }: World): { at: string; stack: string; request: string }[] =>
  supervisor.lines.filter((line) => line.includes('"connectInRequest"')).map((line) => JSON.parse(line))

const line = (at: string | null): string => (at ?? '').replace(/:\d+$/, '')

const NODES: [string, string, { skip?: string }][] = [
  [`Node ${process.versions.node}`, process.execPath, {}],
  ['Node 24', otherNode(), needsTool('nodes')],
]
for (const [name, node, needed] of NODES) {
  t.test(`${name}: each place is told once, in log and status, and nothing else is`, needed, async (t) => {
    const world = await start(t, { mode: 'warn', node })
    const { port } = world
    for (const framework of FRAMEWORKS) {
      for (const way of [...RIGHT, ...RIGHT_TOO])
        t.equal(await ask(port, `/${framework}/${way}`), 'open', way)
    }
    t.match(await upgradeAfterRequest(port), /proxied$/)
    t.same(await found(world), [], 'no false alarm')

    for (const framework of FRAMEWORKS) {
      for (const way of PLACES.keys()) await ask(port, `/${framework}/${way}?token=hidden-away`)
    }
    const places = new Map((await found(world)).map((place) => [line(place.at), place]))
    for (const [way, place] of PLACES) {
      t.equal(places.get(place)?.count, FRAMEWORKS.length, `${way} at ${place}`)
      t.equal(places.get(place)?.request, `GET /http/${way}`)
    }
    t.equal(places.size, PLACES.size)
    const lines = logged(world)
    t.same(lines.map(({ at }) => line(at)).sort(), [...PLACES.values()].sort(), 'one line a place')
    t.match(lines[0]?.stack, /^at /)
    t.notMatch(JSON.stringify(lines), 'hidden-away')
    const { stdout } = await world.supervisor.cli('status')
    t.match(stdout, /slot 0 dialled ws:\S+ 4 times within a request \(GET \/http\/ws\) at \S+:\d+:\d+/)

    const made = await ask(port, '/http/create')
    t.match(made, /^FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST: client "of-a-request" .*module level.*waitUntil/)
  })

  t.test(`${name}: throw rejects them before the upgrade, and nothing else`, needed, async (t) => {
    const world = await start(t, { mode: 'throw', node })
    const { port } = world
    const before = world.upgrades()
    for (const way of PLACES.keys()) {
      // What the WebSocket of Node tells of a failure is its own affair.
      const said =
        way === 'global' ? /^undefined: / : /^FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST: .*module level/
      t.match(await ask(port, `/koa/${way}`), said, way)
    }
    t.equal(world.upgrades(), before, 'none came as far as the upstream')
    t.equal((await found(world)).length, PLACES.size)
    for (const way of [...RIGHT, ...RIGHT_TOO]) t.equal(await ask(port, `/koa/${way}`), 'open', way)
  })
}

t.test('off: nothing is told, and clients may be made anywhere', async (t) => {
  const world = await start(t, { mode: 'off' })
  t.equal(await ask(world.port, '/http/ws'), 'open')
  t.notMatch(await ask(world.port, '/http/create'), 'IN_REQUEST')
  t.same(await found(world), [])
  t.same(logged(world), [])
})

t.test(
  'a program that has never dialled: its first dial is found, and later ones through promises',
  async (t) => {
    const script = `${FIXTURES}/dials-first-in-a-request.js`
    const world = await start(t, { mode: 'warn', script })
    for (const path of ['/', '/later']) t.equal(await ask(world.port, path), 'open')
    const places = await found(world)
    t.same(
      places.map(({ request, count }) => [request, count]),
      [
        ['GET /', 1],
        ['GET /later', 1],
      ],
    )
  },
)
