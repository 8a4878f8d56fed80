// What comes in: bounded, with real backpressure, and never in the way of an answer.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { eventually, withDeadline } from '../support/deadline.js'
import { newClient } from './new-client.js'

/** A server that sends `messages` to whoever connects, no faster than they are taken. */
const source = async (t: Test, { messages = 0, size = 1_024, autoPong = true } = {}) => {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong })
  await once(wss, 'listening')
  t.teardown(() => {
    for (const client of wss.clients) client.terminate()
    wss.close()
  })
  const state = { sent: 0, got: [] as string[], pongs: 0, socket: undefined as WebSocket | undefined }
  wss.on('connection', (socket) => {
    state.socket = socket
    socket.on('message', (data) => state.got.push(String(data)))
    socket.on('pong', () => state.pongs++)
    const next = (): void => {
      if (state.sent === messages || socket.readyState !== socket.OPEN) return
      socket.send(String(state.sent++).padStart(size, '0'), next)
    }
    next()
  })
  return { url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`, state }
}

t.test(
  'a slow consumer holds the upstream back, gets everything in order, and is no dead peer',
  async (t) => {
    const total = 20_000
    const { url, state } = await source(t, { messages: total })
    const client = newClient(t, url, { heartbeatInterval: 50, heartbeatTimeout: 1_000 })
    const lost: string[] = []
    client.on('lost', ({ message }) => lost.push(message))
    const stream = client.messages()
    await stream.next()
    const level = await eventually(
      () => {
        const before = state.sent
        return new Promise<number>((resolve) =>
          setTimeout(() => resolve(state.sent === before ? before : -1), 150),
        )
      },
      (sent) => sent > 0,
      { what: 'the server to be held back' },
    )
    t.ok(level < total, `${level} of ${total} messages left the server while nobody read`)
    await eventually(
      () => state.pongs,
      (pongs) => pongs > 25,
      { what: 'signs of life, for longer than a silent peer is given' },
    )
    let expected = 1
    for await (const { data } of stream) {
      if (Number(data) !== expected) t.fail(`got ${Number(data)} instead of ${expected}`)
      if (++expected === total) break
    }
    t.equal(expected, total)
    t.same(lost, [])
    t.equal(client.stats().epoch, 1)
  },
)

t.test('a consumer that waits for a receipt does not wait for itself', async (t) => {
  const { url, state } = await source(t, { messages: 2_000 })
  const client = newClient(t, url)
  let taken = 0
  const consume = async (): Promise<void> => {
    for await (const { data } of client.messages()) {
      t.match(await client.send(`ack ${Number(data)}`), { level: 'received' })
      if (++taken === 20) return
    }
  }
  await withDeadline(consume(), { what: 'twenty answers with a receipt', last: () => `${taken} taken` })
  t.equal(state.got.length, 20)
})

t.test('a client whose consumer lags behind can be closed', async (t) => {
  const { url } = await source(t, { messages: 20_000 })
  const client = newClient(t, url)
  const stream = client.messages()
  await stream.next()
  await withDeadline(client.close(), { what: 'close() to settle' })
  let left = 0
  for await (const _ of stream) left++
  t.ok(left > 0, 'what had come in is still there')
})

t.test('a new connection is held back as well, as long as the consumer lags behind', async (t) => {
  const { url, state } = await source(t, { messages: 100_000 })
  const client = newClient(t, url)
  const stream = client.messages()
  await stream.next()
  state.socket?.terminate()
  state.sent = 0
  // The old socket is not read: that it is gone is seen when something is written.
  client.send('are you there?').catch(() => {})
  await once(client, 'opened')
  await eventually(
    () => {
      const before = state.sent
      return new Promise<boolean>((resolve) => setTimeout(() => resolve(state.sent === before), 150))
    },
    (isHeld) => isHeld,
    { what: 'the new connection to be held back' },
  )
  t.ok(state.sent < 100_000)
})

t.test('listeners, and several streams, get the same; leaving a loop ends its stream alone', async (t) => {
  const { url } = await source(t, { messages: 10, size: 1 })
  const client = newClient(t, url)
  const heard: string[] = []
  client.on('message', (data, { isBinary, epoch }) => {
    heard.push(String(data))
    t.match({ isBinary, epoch }, { isBinary: false, epoch: 1 })
  })
  const take = async (count: number): Promise<string[]> => {
    const got: string[] = []
    for await (const { data } of client.messages()) if (got.push(String(data)) === count) break
    return got
  }
  const [three, ten] = await Promise.all([take(3), take(10)])
  t.same(three, ['0', '1', '2'])
  t.same(ten, [...'0123456789'])
  t.same(heard, ten)
})
