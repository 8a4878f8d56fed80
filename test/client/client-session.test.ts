// When the client dials, waits, stays away, makes room for a fork and closes.

import t from 'tap'
import { CLIENT_LIFECYCLE, type ClientState } from '../../src/client/client-states.js'
import { transition } from '../../src/shared/state-machine.js'
import { FAILED, FakeSession, LOST } from './fake-session.js'

t.test('every pair of states: what the table holds is allowed, everything else throws', async (t) => {
  const states = Object.keys(CLIENT_LIFECYCLE) as ClientState[]
  for (const from of states) {
    for (const to of states) {
      const move = (): ClientState => transition('client', CLIENT_LIFECYCLE, from, to, 'because')
      if (CLIENT_LIFECYCLE[from].includes(to)) t.equal(move(), to)
      else t.throws(move, { code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION' })
    }
  }
})

t.test(
  'a lost connection is dialled again by backoff, which begins anew only when it was stable',
  async (t) => {
    const client = new FakeSession()
    const pauses: number[] = []
    for (let time = 0; time < 4; time++) {
      client.open()
      client.lose()
      pauses.push((client.timers.get('retry') ?? 0) - client.now)
      client.ring('retry')
    }
    t.same(pauses, [375, 500, 750, 1_250])
    client.open()
    client.ring('stable')
    client.lose()
    t.equal((client.timers.get('retry') ?? 0) - client.now, 375)
  },
)

t.test('what the upstream asked us to wait counts, up to the longest backoff', async (t) => {
  for (const [asked, pause] of [
    [7_000, 7_000],
    [3_600_000, 30_000],
  ] as const) {
    const client = new FakeSession()
    client.do({ type: 'want', isExplicit: true })
    client.lose({ ...FAILED, retryAfter: asked })
    t.equal(client.timers.get('retry'), pause)
  }
})

t.test('however many ask, there is one attempt', async (t) => {
  const client = new FakeSession()
  for (let count = 0; count < 5; count++) client.do({ type: 'want', isExplicit: true })
  client.send('a')
  t.equal(client.of('dial').length, 1)
})

t.test('an attempt that was given up is gone before the next is dialled', async (t) => {
  const client = new FakeSession()
  client.do({ type: 'want', isExplicit: true })
  client.do({ type: 'unwant' })
  t.match(client.of('terminateSocket'), [{ epoch: 1 }])
  client.do({ type: 'want', isExplicit: true })
  t.same([client.session.state, client.of('dial').length], ['connecting', 1])
  client.lose()
  t.equal(client.of('dial').length, 2)
})

t.test('late events of an old connection change nothing', async (t) => {
  const client = new FakeSession()
  client.open()
  client.lose()
  client.ring('retry')
  t.same(client.do({ type: 'opened', epoch: 1 }), [])
  t.same(client.do({ type: 'gone', epoch: 1, end: LOST }), [])
  t.same(client.do({ type: 'flushed', epoch: 1, sequence: 1 }), [])
  t.same(client.do({ type: 'pong', epoch: 1, payload: 'nonce1-1' }), [])
  t.equal(client.session.state, 'connecting')
})

t.test('after a refusal it stays away until somebody asks for it by name', async (t) => {
  const client = new FakeSession({ supersededCodes: [4001] })
  for (const [end, code] of [
    [{ ...FAILED, isFatal: true }, 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED'],
    [{ ...LOST, code: 4001 }, 'FORKSAFE_ERR_CLIENT_SUPERSEDED'],
  ] as const) {
    client.do({ type: 'want', isExplicit: true })
    if (client.timers.has('retry')) client.ring('retry')
    client.send('a')
    client.lose(end)
    t.equal(client.session.state, 'idle')
    t.equal(client.session.refusal?.code, code)
    t.equal(client.settled.at(-1), 'a NOT_SENT')
    t.same(client.do({ type: 'want', isExplicit: false }), [])
  }
})

t.test('a suspension gives back exactly what was there', async (t) => {
  for (const [before, after] of [
    ['idle', 'idle'],
    ['connecting', 'connecting'],
    ['open', 'connecting'],
    ['waiting', 'waiting'],
  ] as const) {
    const client = new FakeSession()
    if (before !== 'idle') client.do({ type: 'want', isExplicit: true })
    if (before === 'open' || before === 'waiting') client.open()
    if (before === 'waiting') client.lose()
    t.equal(client.session.state, before)
    client.do({ type: 'suspend', timeout: 100 })
    t.equal(client.session.state, 'suspended')
    client.lose()
    client.do({ type: 'resume' })
    t.equal(client.session.state, after, before)
  }
})

t.test('who gives up during a suspension is heard: it is not dialled for nobody', async (t) => {
  for (const [wasOpen, after] of [
    [false, 'idle'],
    [true, 'connecting'],
  ] as const) {
    const client = new FakeSession()
    if (wasOpen) client.open()
    client.do({ type: 'suspend', timeout: 100 })
    client.do({ type: 'want', isExplicit: true })
    client.do({ type: 'unwant' })
    client.lose()
    client.do({ type: 'resume' })
    t.equal(client.session.state, after, wasOpen ? 'what was open comes back' : 'what was not does not')
  }
})

t.test(
  'what was written is proved before a fork window closes the connection, for half of its time',
  async (t) => {
    const client = new FakeSession()
    client.open()
    client.pong()
    client.send('a')
    client.do({ type: 'suspend', timeout: 100 })
    t.same(client.of('closeSocket'), [])
    client.pong()
    t.match(client.of('closeSocket'), [{ epoch: 1, code: 1001 }])
    t.same(client.settled, ['a received'])
  },
)

t.test('the socket is gone in the time of the fork window, whoever closes meanwhile', async (t) => {
  const client = new FakeSession()
  client.open()
  client.do({ type: 'suspend', timeout: 100 })
  client.do({ type: 'close', code: 1000, drainTimeout: 5_000, closeTimeout: 5_000 })
  t.equal(client.timers.get('close'), 100)
  client.ring('close')
  t.match(client.of('terminateSocket'), [{ epoch: 1 }])
})

t.test(
  'close() drains, makes the handshake, and destroys the socket of a peer that does not answer',
  async (t) => {
    const client = new FakeSession()
    client.open()
    client.pong()
    client.send('a')
    client.do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 50 })
    t.equal(client.session.state, 'draining')
    client.ring('drain')
    t.equal(client.session.state, 'closing')
    client.ring('close')
    client.lose()
    t.equal(client.session.state, 'closed')
    t.same(client.settled, ['a FATE_UNKNOWN'])
    t.same([...client.timers], [])
  },
)

t.test('close() while nothing is open rejects what waits, and dials for nobody', async (t) => {
  const client = new FakeSession()
  client.do({ type: 'suspend', timeout: 100 })
  client.send('a')
  client.do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 50 })
  t.equal(client.session.state, 'closed')
  t.same([client.settled, client.of('dial')], [['a NOT_SENT'], []])
})
