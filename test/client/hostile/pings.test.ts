// Peers that do with pings what they like: receipts and the detection of dead connections rest on their answers.

import t from 'tap'
import { eventually } from '../../support/deadline.js'
import { answersClose, answersPings, answersPingsAfter, behaves, repeats, upgrades } from './acts.js'
import { OPCODE, ping, pong } from './frames.js'
import type { Act } from './hostile-server.js'
import { DEGRADED, event, FATE_UNKNOWN, ONCE, pingsOf, pongsOf, scene, talks, textsOf } from './scenes.js'

// --- Never ------------------------------------------------------------------------------------------------------

scene(t, {
  peer: 'never pongs, but reads and talks: receipts say written, the connection stays',
  acts: [answersClose(), upgrades(), talks],
  warnings: [DEGRADED],
  play: async ({ t, client, server, log }) => {
    t.match(await client.send('a'), { level: 'written', epoch: 1 })
    await t.rejects(client.send('b', { level: 'received' }), {
      code: 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
    })
    await eventually(
      () => pingsOf(server),
      (pings) => pings >= 1,
      { what: 'a ping' },
    )
    t.match(client.stats(), { receipts: 'written', reconnects: 0 })
    t.same(log.events, ['connecting', 'opened', 'receiptsDegraded'])
  },
})

// Silent for once, a peer may be dead: only the next connection tells.
const DOUBTED = ['connecting', 'opened', 'lost 1006', 'waiting', 'connecting', 'opened']

scene(t, {
  peer: 'says nothing after 101, time and again: what cannot be proved is said, the connection stays',
  acts: [answersClose(), upgrades()],
  warnings: [DEGRADED],
  play: async ({ t, client, log }) => {
    t.match(await client.send('a'), { level: 'written', epoch: 1 })
    t.same(log.events, [...DOUBTED, 'receiptsDegraded'])
    t.match(await client.send('b'), { level: 'written', epoch: 2 })
    t.equal(client.state, 'open')
  },
})

scene(t, {
  peer: 'says nothing after 101, where receipts are required: nothing is sent to it, and it is refused',
  acts: [answersClose(), upgrades()],
  options: { receipts: 'require' },
  play: async ({ t, client, server, log }) => {
    const code = 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE'
    const refused = event(client, 'refused')
    await t.rejects(client.send('a'), { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' })
    t.match(await refused, [{ error: { code } }])
    await t.rejects(client.send('b'), { code })
    t.equal(client.state, 'idle')
    t.same(log.events.slice(0, DOUBTED.length + 1), [...DOUBTED, `refused ${code}`])
    t.same(textsOf(server), [[], []])
  },
})

scene(t, {
  peer: 'says nothing after 101, and a hook waits for it: the attempt times out',
  acts: [answersClose(), upgrades()],
  options: { ...ONCE, afterConnect: (session) => session.receive() },
  play: async ({ t, client, log }) => {
    await t.rejects(client.connect(), { code: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT' })
    t.same(log.events, ['connecting', 'waiting'])
  },
})

// --- Once, and never again: a peer that has answered is held to it ----------------------------------------------

const answersFirst = (others: (payload: Buffer) => readonly Buffer[] = () => []): Act =>
  answersPings((payload, nth) => (nth === 1 ? [pong(payload)] : others(payload)))

scene(t, {
  peer: 'pongs once and falls silent: found dead, dialled again, and the fate of what was written is unknown',
  acts: [answersFirst(), answersClose(), upgrades()],
  play: async ({ t, client, server }) => {
    t.match(await client.send('a'), { level: 'received', epoch: 1 })
    const [end, back] = [event(client, 'lost'), event(client, 'opened')]
    await t.rejects(client.send('b'), FATE_UNKNOWN)
    t.match(await end, [{ code: 1006, message: /silent and did not answer a ping within 250 ms/ }])
    await back
    t.equal(server.accepts.length, 2)
  },
})

scene(t, {
  peer: 'pongs once and falls silent: what it did not prove is written again on the next connection',
  acts: [answersFirst(), answersClose(), upgrades()],
  options: { onUnconfirmed: 'resend' },
  play: async ({ t, client, server }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 2 })
    t.same(textsOf(server), [['a', 'b'], ['b']])
  },
})

scene(t, {
  peer: 'pongs once and then only talks: given up when nothing was proved for receiptTimeout',
  acts: [answersFirst(), answersClose(), upgrades(), talks],
  options: ONCE,
  play: async ({ t, client }) => {
    await client.send('a')
    await t.rejects(client.send('b'), {
      ...FATE_UNKNOWN,
      message: /the peer did not answer pings for 600 ms/,
    })
    t.equal(client.state, 'waiting')
  },
})

// --- Wrong answers prove nothing --------------------------------------------------------------------------------

scene(t, {
  peer: 'pongs with another payload: that is no receipt',
  acts: [answersPings((payload) => [pong(`${payload}0`)]), answersClose(), upgrades()],
  warnings: [DEGRADED],
  play: async ({ t, client }) => {
    // It was written: it may have arrived.
    await t.rejects(client.send('a', { level: 'received' }), { ...FATE_UNKNOWN, message: /answers no pings/ })
    t.match(client.stats(), { receipts: 'written', reconnects: 0, rtt: null })
  },
})

scene(t, {
  peer: 'pongs once, and then with another payload: that is no receipt, but no silence either',
  acts: [answersFirst((payload) => [pong(`0${payload}`)]), answersClose(), upgrades(), talks],
  options: ONCE,
  play: async ({ t, client }) => {
    await client.send('a')
    await t.rejects(client.send('b'), { ...FATE_UNKNOWN, message: /did not answer pings for 600 ms/ })
  },
})

scene(t, {
  peer: 'sends pongs that nobody asked for: they prove nothing',
  acts: [answersClose(), upgrades(), repeats(Buffer.concat([pong(), pong('1'), pong('x'.repeat(125))]), 5)],
  warnings: [DEGRADED],
  play: async ({ t, client }) => {
    t.match(await client.send('a'), { level: 'written' })
    t.match(client.stats(), { receipts: 'written', reconnects: 0, rtt: null })
  },
})

/** Answers on the first connection, ends it with the second ping, and answers with that one's payload on the next. */
const replays = (): Act => {
  let connections = 0
  let kept: Buffer = Buffer.alloc(0)
  return (peer) => {
    const connection = ++connections
    return answersPings((payload, nth) => {
      if (connection === 2) return [pong(kept)]
      if (connection !== 1 || nth === 1) return [pong(payload)]
      kept = payload
      peer.socket.resetAndDestroy()
      return []
    })(peer)
  }
}

scene(t, {
  peer: 'answers with the pong of a connection that is gone: that proves nothing on this one',
  acts: [replays(), answersClose(), upgrades()],
  options: { onUnconfirmed: 'resend', heartbeatTimeout: 2_000 },
  play: async ({ t, client, server }) => {
    await client.send('a')
    const { level, epoch } = await client.send('b')
    t.equal(level, 'received')
    t.ok(epoch >= 3, `proved on connection ${epoch}`)
    t.same(textsOf(server).slice(0, 3), [['a', 'b'], ['b'], ['b']])
  },
})

// --- Odd, and allowed -------------------------------------------------------------------------------------------

scene(t, {
  peer: 'pongs twice: one receipt each',
  acts: [answersPings((payload) => [pong(payload), pong(payload)]), answersClose(), upgrades()],
  play: async ({ t, client }) => {
    for (const text of ['a', 'b', 'c']) t.match(await client.send(text), { level: 'received', epoch: 1 })
    t.match(client.stats(), { accepted: 3, confirmed: 3, receipts: 'received' })
  },
})

scene(t, {
  peer: 'takes long for its first pong: receipts are worth less, and worth all again when it has come',
  acts: [
    answersPings((payload, nth) => (nth === 1 ? [] : [pong(payload)])),
    answersClose(),
    upgrades(),
    talks,
  ],
  warnings: [DEGRADED],
  play: async ({ t, client, server, log }) => {
    t.match(await client.send('a'), { level: 'written' })
    const restored = event(client, 'receiptsRestored')
    const peer = server.peers[0]
    const first = await peer?.frame(OPCODE.ping)
    peer?.socket.write(pong(first?.payload))
    await restored
    t.match(await client.send('b', { level: 'received' }), { level: 'received', epoch: 1 })
    t.same(log.events, ['connecting', 'opened', 'receiptsDegraded', 'receiptsRestored'])
  },
})

scene(t, {
  peer: 'takes long for its later pongs, but talks meanwhile: it is waited for',
  acts: [answersPingsAfter((nth) => (nth === 1 ? 0 : 400)), answersClose(), upgrades(), talks],
  options: { receiptTimeout: '1m' },
  play: async ({ t, client }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 1 })
  },
})

scene(t, {
  peer: 'answers only the latest of several pings: it proves them all',
  acts: [
    answersPings((payload, nth) => (nth === 1 || nth === 4 ? [pong(payload)] : [])),
    answersClose(),
    upgrades(),
    talks,
  ],
  options: { receiptTimeout: '1m' },
  play: async ({ t, client, server }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 1 })
    t.equal(pingsOf(server), 4)
  },
})

scene(t, {
  peer: 'pings all the time: each is answered with its own payload',
  acts: [...behaves, repeats(ping('it is me'), 5)],
  play: async ({ t, client, server }) => {
    await client.connect()
    await eventually(
      () => pongsOf(server).length,
      (count) => count >= 20,
      { what: '20 pongs' },
    )
    t.ok(pongsOf(server).every((payload) => payload === 'it is me'))
    t.match(await client.send('a'), { level: 'received', epoch: 1 })
  },
})
