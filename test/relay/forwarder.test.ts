// The forwarder with a real client and real servers: what is proved is settled, whatever becomes of connections.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import type { GuardedClientOptions } from '../../src/client/index.js'
import { Forwarder } from '../../src/relay/forwarder.js'
import { isWorthAnotherAttempt } from '../../src/relay/relay-client.js'
import { newClient } from '../client/new-client.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { MemorySpool, newMessage } from '../support/memory-spool.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { tcpRelay } from '../support/tcp-relay.js'

const LIMITS = { window: { count: 64, bytes: 1024 * 1024 }, maxAge: 60_000, maxAttempts: 3, rest: 50 }

const forwarding = (
  t: Test,
  url: string,
  over: { limits?: Partial<typeof LIMITS>; client?: Partial<GuardedClientOptions> } = {},
) => {
  const spool = new MemorySpool()
  const lines: string[] = []
  const client = newClient(t, url, {
    shouldReconnect: isWorthAnotherAttempt,
    onUnconfirmed: 'resend',
    whenFull: 'wait',
    ...over.client,
  })
  const forwarder = new Forwarder({
    client,
    spool,
    limits: { ...LIMITS, ...over.limits },
    settled: () => {},
    log: (_level, text) => void lines.push(text),
  })
  t.teardown(() => forwarder.abandon())
  const settled = (count: number): Promise<number> =>
    eventually(
      () => spool.settlements.length,
      (seen) => seen >= count,
      { what: `${count} settlements` },
    )
  const states = (): string[] => spool.settlements.map(({ settlement }) => settlement.state)
  return { spool, client, forwarder, lines, settled, states }
}

const server = async (t: Test, onMessage: (socket: WebSocket, text: string) => void) => {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  wss.on('connection', (socket) => socket.on('message', (data) => onMessage(socket, String(data))))
  await once(wss, 'listening')
  t.teardown(() => {
    for (const client of wss.clients) client.terminate()
    wss.close()
  })
  return `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => `n${n}`)

t.test('text and binary arrive as what they are, in order, and are settled with receipts', async (t) => {
  const upstream = await recordingUpstream(t)
  const { spool, settled } = forwarding(t, upstream.url)
  const texts = numbers(1_000)
  await Promise.all(texts.map((text) => spool.append(newMessage(text))))
  await settled(texts.length)
  t.same(upstream.messages, texts)
  t.match(spool.settlements[0]?.settlement, {
    state: 'delivered',
    receipt: { level: 'received', rtt: Number },
  })

  const frames: boolean[] = []
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  wss.on('connection', (socket) => socket.on('message', (_data, isBinary) => void frames.push(isBinary)))
  await once(wss, 'listening')
  t.teardown(() => wss.close())
  const other = forwarding(t, `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`)
  await other.spool.append(newMessage('text'))
  await other.spool.append(newMessage('bytes', { isBinary: true }))
  await other.settled(2)
  t.same(frames, [false, true])
})

t.test('connections that are reset lose nothing and keep the order', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const { spool, settled } = forwarding(t, relay.url)
  const texts = numbers(600)
  for (const [n, text] of texts.entries()) {
    await spool.append(newMessage(text))
    if (n % 150 !== 149) continue
    await settled(n - 100)
    relay.connections.at(-1)?.reset()
  }
  await settled(texts.length)
  t.same([...new Set(upstream.messages)], texts)
  t.ok(relay.connections.length > 1, `${relay.connections.length} connections`)
})

t.test('a message that the upstream closes by is parked, and the rest arrives in order', async (t) => {
  for (const code of [1003, 1007, 1008, 1009, 1011]) {
    const arrived: string[] = []
    let poisoned = 0
    const url = await server(t, (socket, text) => {
      if (text !== 'n10') return void arrived.push(text)
      poisoned++
      socket.close(code, 'not this')
    })
    const { spool, settled, states } = forwarding(t, url)
    const texts = numbers(40)
    await Promise.all(texts.map((text) => spool.append(newMessage(text))))
    await settled(texts.length)
    t.same(
      [...new Set(arrived)],
      texts.filter((text) => text !== 'n10'),
      `code ${code}`,
    )
    t.ok(poisoned >= 3 && poisoned <= 4, `${poisoned} times`)
    t.same(states().indexOf('parked'), 10)
    const parked = await spool.parked()
    t.match(parked, [
      {
        reason: `the upstream closed the connection with code ${code} "not this" each of the 3 times that it was sent by itself`,
      },
    ])
    t.equal(parked.length, 1)
  }
})

t.test('an upstream that refuses is asked again, and everything is kept', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 401 })
  const { spool, settled, lines, forwarder } = forwarding(t, upstream.url)
  const texts = numbers(20)
  await Promise.all(texts.map((text) => spool.append(newMessage(text))))
  await eventually(
    () => upstream.connections.length,
    (count) => count >= 3,
    { what: 'three attempts' },
  )
  t.equal(spool.settlements.length, 0)
  t.match(forwarder.status().trouble, /401/)
  t.match(lines.join('\n'), /401.*the messages are kept/)
  upstream.behaviour.refuseWith = null
  await settled(texts.length)
  t.same(upstream.messages, texts)
  t.equal(forwarder.status().trouble, null)
})

t.test('what expires or grows too old while the upstream is down is not sent', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const { spool, settled, states } = forwarding(t, upstream.url, { limits: { maxAge: 1_500 } })
  await spool.append(newMessage('fleeting', { expiresAt: Date.now() + 200 }))
  await spool.append(newMessage('old'))
  await settled(2)
  t.same(states(), ['expired', 'parked'])
  upstream.behaviour.refuseWith = null
  await spool.append(newMessage('fresh'))
  await settled(3)
  t.same(upstream.messages, ['fresh'])
})

t.test('a message that does not fit into the client is parked', async (t) => {
  const upstream = await recordingUpstream(t)
  const { spool, settled, states } = forwarding(t, upstream.url, {
    client: { maxPending: { count: 128, bytes: 1_000 } },
  })
  await spool.append(newMessage('x'.repeat(2_000)))
  await spool.append(newMessage('small'))
  await settled(2)
  t.same(states(), ['parked', 'delivered'])
})

t.test('a stop waits for receipts, closes the client, and leaves what was not sent', async (t) => {
  const upstream = await recordingUpstream(t)
  const { spool, forwarder, client } = forwarding(t, upstream.url)
  await Promise.all(numbers(500).map((text) => spool.append(newMessage(text))))
  await eventually(
    () => spool.settlements.length,
    (count) => count > 0,
    { what: 'the first receipts' },
  )
  await withDeadline(forwarder.stop({ timeout: 2_000 }), { what: 'the stop' })
  t.equal(client.state, 'closed')
  t.equal(upstream.messages.length, spool.settlements.length, 'what arrived is settled')
  t.equal(spool.status().queued + spool.settlements.length, 500)
})

t.test('a stop does not wait for an upstream that answers nothing', async (t) => {
  const upstream = await recordingUpstream(t)
  const relay = await tcpRelay(t, upstream.url)
  const { spool, forwarder, settled } = forwarding(t, relay.url)
  await spool.append(newMessage('first'))
  await settled(1)
  relay.connections[0]?.stall()
  await spool.append(newMessage('second'))
  await eventually(
    () => forwarder.status().inFlight,
    (count) => count === 1,
    { what: 'it in flight' },
  )
  const begun = performance.now()
  await forwarder.stop({ timeout: 400 })
  t.ok(performance.now() - begun < 3_000)
  t.equal(spool.status().queued, 1)
})
