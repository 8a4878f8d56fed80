// What goes over an open connection: when a message is written, what proves it, and what becomes of it when nothing does.

import t from 'tap'
import { FakeSession } from './fake-session.js'

const opened = (...options: ConstructorParameters<typeof FakeSession>): FakeSession => {
  const client = new FakeSession(...options)
  client.open()
  client.pong()
  return client
}

t.test('a message is confirmed by the pong of the ping behind it, not by its flush', async (t) => {
  const client = opened()
  client.send('a')
  client.do({ type: 'flushed', epoch: 1, sequence: 1 })
  t.same(client.settled, [])
  client.pong()
  t.same(client.settled, ['a received'])
})

t.test('one ping at a time: the next covers everything that was written meanwhile', async (t) => {
  const client = opened()
  for (const cargo of ['a', 'b', 'c']) client.send(cargo)
  t.equal(client.of('ping').length, 2, 'that of the opening, and one')
  client.pong()
  t.same(client.settled, ['a received'])
  client.pong()
  t.same(client.settled, ['a received', 'b received', 'c received'])
})

t.test('who asks for no more than written has it with the flush', async (t) => {
  const client = opened()
  client.send('a', { level: 'written' })
  t.same(client.settled, [])
  client.do({ type: 'flushed', epoch: 1, sequence: 1 })
  t.same(client.settled, ['a written'])
})

t.test('processed needs the acknowledgement of the application, in time', async (t) => {
  const client = opened()
  const first = client.send('a', { level: 'processed' })
  client.send('b', { level: 'processed' })
  client.pong()
  client.pong()
  client.do({ type: 'acknowledged', entry: first })
  t.same(client.settled, ['a processed'])
  client.now = 30_000
  client.do({ type: 'heard', epoch: 1, at: client.now })
  client.do({ type: 'timer', name: 'watch' })
  t.same(client.settled, ['a processed', 'b FATE_UNKNOWN'])
})

t.test('when the connection is lost: of unknown fate what was written, kept what was not', async (t) => {
  const client = opened()
  client.send('a', { bytes: 300_000 })
  client.send('b')
  client.lose()
  t.same(client.settled, ['a FATE_UNKNOWN'])
  client.ring('retry')
  client.open()
  t.same(client.written, ['1: a', '2: b'])
})

t.test('resend: what was written and not proved is written again, in its order', async (t) => {
  const client = opened({ onUnconfirmed: 'resend' })
  for (const cargo of ['a', 'b', 'c']) client.send(cargo)
  client.pong()
  client.lose()
  client.ring('retry')
  client.open()
  client.pong()
  t.same(client.written, ['1: a', '1: b', '1: c', '2: b c'])
  t.same(client.settled, ['a received', 'b received', 'c received'])
})

t.test('an acknowledgement on the next connection is of the one that the message went over', async (t) => {
  const client = opened({ onUnconfirmed: 'resend' })
  client.send('large', { bytes: 300_000 })
  const entry = client.send('asked', { level: 'processed' })
  client.do({ type: 'flushed', epoch: 1, sequence: 1 })
  client.lose()
  client.ring('retry')
  client.open()
  t.same(client.written, ['1: large', '1: asked', '2: large'])
  client.do({ type: 'acknowledged', entry })
  t.match(client.of('confirmed'), [{ level: 'processed', epoch: 1 }])
})

t.test(
  'no more is written than the kernel is likely to take: what is beyond can still be taken back',
  async (t) => {
    const client = opened()
    client.send('a', { bytes: 300_000 })
    const entry = client.send('b')
    t.same(client.written, ['1: a'])
    client.do({ type: 'withdraw', entry, code: 'FORKSAFE_ERR_CLIENT_ABORTED', why: 'aborted' })
    t.same(client.settled, ['b ABORTED'])
    client.do({ type: 'flushed', epoch: 1, sequence: 1 })
    t.same(client.written, ['1: a'])
  },
)

t.test('what was written cannot be taken back: its fate is unknown', async (t) => {
  const client = opened()
  const entry = client.send('a')
  client.do({ type: 'withdraw', entry, code: 'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT', why: 'too late' })
  t.same(client.settled, ['a FATE_UNKNOWN'])
})

t.test('what has expired is not written', async (t) => {
  const client = new FakeSession()
  client.send('a', { expiresAt: 5 })
  client.now = 5
  client.open()
  t.same([client.written, client.settled], [[], ['a EXPIRED']])
})

t.test(
  'a peer that answers no pings: written is what there is to have, and a pong brings back the rest',
  async (t) => {
    const client = new FakeSession()
    client.open()
    client.send('a')
    client.send('sure', { isLevelFixed: true })
    client.do({ type: 'flushed', epoch: 1, sequence: 2 })
    client.do({ type: 'heard', epoch: 1, at: 5_000 })
    client.ring('watch')
    client.read()
    t.same(client.settled, ['sure FATE_UNKNOWN', 'a written'])
    t.match(client.of('receiptsDegraded'), [{ epoch: 1 }])
    client.pong()
    t.match(client.of('receiptsRestored'), [{ epoch: 1 }])
  },
)

t.test('a peer that has answered before and falls silent is given up', async (t) => {
  const client = opened()
  client.passUntil(20_000)
  t.equal(client.of('ping').length, 2)
  client.passUntil(30_000)
  t.same(client.of('terminateSocket'), [], 'not before what came in is read')
  client.read()
  t.match(client.of('terminateSocket'), [{ epoch: 1, why: /silent/ }])
})

t.test(
  'our own slow consumer: an answer that we do not read is waited for, then asked for once more',
  async (t) => {
    const client = opened({ heartbeatInterval: 0 })
    client.send('old')
    client.do({ type: 'flushed', epoch: 1, sequence: 1 })
    client.do({ type: 'paused' })
    client.passUntil(20_000)
    client.send('young')
    client.do({ type: 'flushed', epoch: 1, sequence: 2 })
    client.passUntil(30_000)
    t.same(client.settled, ['old FATE_UNKNOWN'], 'that of a moment ago has its own time')
    client.do({ type: 'resumed' })
    client.pong()
    t.same(client.settled, ['old FATE_UNKNOWN', 'young received'])
  },
)

t.test('required receipts are asked for again when the first answer was not read', async (t) => {
  const client = new FakeSession({ receipts: 'require', heartbeatInterval: 0 })
  client.open()
  client.send('a')
  client.do({ type: 'paused' })
  client.ring('watch')
  client.do({ type: 'resumed' })
  t.same(client.written, [])
  client.pong()
  t.same(client.written, ['1: a'])
})

t.test('an overdue heartbeat is no sleep: a peer that takes nothing is given up in time', async (t) => {
  const client = new FakeSession({ heartbeatInterval: 700, heartbeatTimeout: 2_000, receiptTimeout: 6_000 })
  client.open()
  client.send('a')
  client.do({ type: 'heard', epoch: 1, at: 1 })
  while (client.now < 6_000) {
    client.ring('watch')
    client.read()
  }
  t.match(client.of('terminateSocket'), [{ epoch: 1, why: /did not take/ }])
})
