// Who is dead and who only seems to be: half-open connections, and what looks like one.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { tcpRelay } from '../support/tcp-relay.js'
import { newClient } from './new-client.js'

uninstrumentChildren()

const QUICK = { heartbeatInterval: 100, heartbeatTimeout: 400 }
/** Looks often, and takes nobody for dead whose machine is only busy. */
const PATIENT = { heartbeatInterval: 20, heartbeatTimeout: 5_000 }

/** Keeps the event loop from turning, as a long calculation does. */
const block = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

t.test('a half-open connection is found, destroyed and dialled again, and nothing is lost', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url, { ...QUICK, onUnconfirmed: 'resend' })
  await client.send('before')
  relay.connections[0]?.stall()
  const [lost, meanwhile] = [once(client, 'lost'), client.send('meanwhile')]
  const end = await withDeadline(lost, { what: 'the half-open connection to be found' })
  t.match(end, [{ epoch: 1, code: 1006, message: /silent and did not answer a ping within 400 ms/ }])
  t.match(await meanwhile, { level: 'received', epoch: 2 })
  t.same(upstream.messages, ['before', 'meanwhile'])
  t.equal(client.stats().reconnects, 1)
})

t.test(
  'an idle connection is found half open too, and an idle one that is alive is left alone',
  async (t) => {
    const upstream = await recordingUpstream(t)
    const relay = await tcpRelay(t, upstream.url)
    const [idle, alive] = [newClient(t, relay.url, QUICK), newClient(t, upstream.url, PATIENT)]
    await Promise.all([idle.connect(), alive.connect()])
    // Answered once, so that it is known to answer.
    await idle.send('hello')
    relay.connections[0]?.stall()
    await withDeadline(once(idle, 'lost'), { what: 'the idle half-open connection to be found' })
    t.match(alive.stats(), { reconnects: 0, epoch: 1 })
    t.equal(alive.state, 'open')
  },
)

t.test('a blocked event loop is no dead peer', async (t) => {
  // In a process of its own: it answers while we are blocked.
  const server = fork('test/client/fixtures/sink.js', { env: cleanEnv() })
  t.teardown(() => server.kill('SIGKILL'))
  const [port] = await once(server, 'message')
  const client = newClient(t, `ws://127.0.0.1:${port}`, {
    heartbeatInterval: 100,
    heartbeatTimeout: 500,
    receiptTimeout: 1_500,
  })
  const lost: string[] = []
  client.on('lost', ({ message }) => lost.push(message))
  await client.send('hello')
  for (const ms of [700, 700, 1_700]) {
    const sent = client.send(String(ms))
    // The message and its ping are written at the end of this turn; their answer is not read before the block is over.
    await new Promise((resolve) => process.nextTick(resolve))
    block(ms)
    t.match(await sent, { level: 'received', epoch: 1 })
    await client.send('again')
  }
  t.same(lost, [])
  t.equal(client.stats().epoch, 1)
})

t.test('a peer that takes nothing any more is given up, though it goes on talking', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const client = newClient(t, relay.url, {
    ...{ heartbeatInterval: 100, heartbeatTimeout: 5_000 },
    receiptTimeout: 300,
    backoff: { min: '1m', max: '1m' },
  })
  await client.send('hello')
  const talking = setInterval(() => upstream.broadcast('still here'), 20)
  t.teardown(() => clearInterval(talking))
  relay.connections[0]?.stallUpward()
  const sent = client.send('lost')
  await t.rejects(sent, {
    code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN',
    message: /did not answer pings for 300 ms/,
  })
  t.equal(client.state, 'waiting')
})
