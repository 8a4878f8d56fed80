// Peers that do with pings what they like: receipts and the detection of dead connections rest on their answers.

import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { GuardedClient, GuardedClientOptions } from '../../../src/client/index.js'
import { eventually, withDeadline } from '../../support/deadline.js'
import {
  answersClose,
  answersPings,
  answersPingsAfter,
  behaves,
  ends,
  repeats,
  stopsReading,
  upgrades,
} from './acts.js'
import { OPCODE, ping, pong, text } from './frames.js'
import { type Act, type HostileServer, hostileServer } from './hostile-server.js'
import { hastyClient, LENIENCE, leavingNothing, logOf } from './outcomes.js'

const DEGRADED = 'FORKSAFE_WARN_RECEIPTS_DEGRADED'
const FATE_UNKNOWN = { code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN' }
const QUICK = {
  heartbeatInterval: 60,
  heartbeatTimeout: 150,
  receiptTimeout: 400,
  backoff: { min: 5, max: 20 },
}
/** One connection is looked at: no other one follows. */
const ONCE = { backoff: { min: 60_000, max: 60_000 } }

interface Stage {
  t: Test
  client: GuardedClient
  server: HostileServer
  log: ReturnType<typeof logOf>
}

interface Scene {
  /** Completes "a peer that …". */
  peer: string
  acts: readonly Act[]
  options?: Partial<GuardedClientOptions>
  warnings?: readonly string[]
  play: (stage: Stage) => Promise<unknown>
}

const scene = ({ peer, acts, options, warnings, play }: Scene): unknown =>
  t.test(`a peer that ${peer}`, (t) =>
    leavingNothing(
      t,
      async () => {
        const server = await hostileServer(acts)
        const client = hastyClient(server.url, { ...QUICK, ...options })
        const log = logOf(client)
        try {
          const playing = Promise.resolve(play({ t, client, server, log }))
          await withDeadline(playing, {
            what: 'the scene to end',
            timeout: 1_000 + LENIENCE,
            last: () => `${client.state} after ${log.events.join(', ')}`,
          })
          await withDeadline(client.close(), { what: 'close() to settle', timeout: 1_000 + LENIENCE })
          const { accepted, confirmed, rejected, pending } = client.stats()
          t.same([accepted, pending], [confirmed + rejected, 0], 'every message is settled')
          const waits = log.events.filter((event) => event === 'waiting').length
          t.ok(server.accepts.length <= waits + 1, 'no attempt that was not announced')
        } finally {
          await client.terminate()
          await server.stop()
        }
      },
      warnings,
    ),
  )

const event = (client: GuardedClient, name: 'lost' | 'opened' | 'receiptsRestored' | 'refused') =>
  once(client, name)

const pingsOf = (server: HostileServer, nth = 0): number =>
  server.peers[nth]?.frames.filter(({ opcode }) => opcode === OPCODE.ping).length ?? 0

/** The text messages of each connection. */
const textsOf = (server: HostileServer): string[][] =>
  server.peers.map(({ frames }) =>
    frames.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => String(payload)),
  )

const talks = repeats(text('news'), 10)

// --- Never ------------------------------------------------------------------------------------------------------

scene({
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

scene({
  peer: 'says nothing after 101: what cannot be proved is said, the connection stays',
  acts: [answersClose(), upgrades()],
  warnings: [DEGRADED],
  play: async ({ t, client, log }) => {
    t.match(await client.send('a'), { level: 'written', epoch: 1 })
    t.same(log.events, ['connecting', 'opened', 'receiptsDegraded'])
    t.equal(client.state, 'open')
  },
})

scene({
  peer: 'says nothing after 101, where receipts are required: refused',
  acts: [answersClose(), upgrades()],
  options: { receipts: 'require' },
  play: async ({ t, client, server, log }) => {
    const code = 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE'
    const refused = event(client, 'refused')
    await t.rejects(client.send('a'), { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' })
    t.match(await refused, [{ error: { code } }])
    await t.rejects(client.send('b'), { code })
    t.equal(client.state, 'idle')
    t.same(log.events.slice(0, 3), ['connecting', 'opened', `refused ${code}`])
    t.equal(server.accepts.length, 1)
  },
})

scene({
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

scene({
  peer: 'pongs once and falls silent: found dead, dialled again, and the fate of what was written is unknown',
  acts: [answersFirst(), answersClose(), upgrades()],
  play: async ({ t, client, server }) => {
    t.match(await client.send('a'), { level: 'received', epoch: 1 })
    const [end, back] = [event(client, 'lost'), event(client, 'opened')]
    await t.rejects(client.send('b'), FATE_UNKNOWN)
    t.match(await end, [{ code: 1006, message: /silent and did not answer a ping within 150 ms/ }])
    await back
    t.equal(server.accepts.length, 2)
  },
})

scene({
  peer: 'pongs once and falls silent: what it did not prove is written again on the next connection',
  acts: [answersFirst(), answersClose(), upgrades()],
  options: { onUnconfirmed: 'resend' },
  play: async ({ t, client, server }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 2 })
    t.same(textsOf(server), [['a', 'b'], ['b']])
  },
})

scene({
  peer: 'pongs once and then only talks: given up when nothing was proved for receiptTimeout',
  acts: [answersFirst(), answersClose(), upgrades(), talks],
  options: ONCE,
  play: async ({ t, client }) => {
    await client.send('a')
    await t.rejects(client.send('b'), {
      ...FATE_UNKNOWN,
      message: /the peer did not answer pings for 400 ms/,
    })
    t.equal(client.state, 'waiting')
  },
})

// --- Wrong answers prove nothing --------------------------------------------------------------------------------

scene({
  peer: 'pongs with another payload: that is no receipt',
  acts: [answersPings((payload) => [pong(`${payload}0`)]), answersClose(), upgrades()],
  warnings: [DEGRADED],
  play: async ({ t, client }) => {
    // It was written: it may have arrived.
    await t.rejects(client.send('a', { level: 'received' }), { ...FATE_UNKNOWN, message: /answers no pings/ })
    t.match(client.stats(), { receipts: 'written', reconnects: 0, rtt: null })
  },
})

scene({
  peer: 'pongs once, and then with another payload: that is no receipt, but no silence either',
  acts: [answersFirst((payload) => [pong(`0${payload}`)]), answersClose(), upgrades(), talks],
  options: ONCE,
  play: async ({ t, client }) => {
    await client.send('a')
    await t.rejects(client.send('b'), { ...FATE_UNKNOWN, message: /did not answer pings for 400 ms/ })
  },
})

scene({
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

scene({
  peer: 'answers with the pong of a connection that is gone: that proves nothing on this one',
  acts: [replays(), answersClose(), upgrades()],
  options: { onUnconfirmed: 'resend' },
  play: async ({ t, client, server }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 3 })
    t.same(textsOf(server), [['a', 'b'], ['b'], ['b']])
  },
})

// --- Odd, and allowed -------------------------------------------------------------------------------------------

scene({
  peer: 'pongs twice: one receipt each',
  acts: [answersPings((payload) => [pong(payload), pong(payload)]), answersClose(), upgrades()],
  play: async ({ t, client }) => {
    for (const text of ['a', 'b', 'c']) t.match(await client.send(text), { level: 'received', epoch: 1 })
    t.match(client.stats(), { accepted: 3, confirmed: 3, receipts: 'received' })
  },
})

scene({
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

scene({
  peer: 'takes long for its later pongs, but talks meanwhile: it is waited for',
  acts: [answersPingsAfter((nth) => (nth === 1 ? 0 : 300)), answersClose(), upgrades(), talks],
  options: { receiptTimeout: '1m' },
  play: async ({ t, client }) => {
    await client.send('a')
    t.match(await client.send('b'), { level: 'received', epoch: 1 })
  },
})

scene({
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

scene({
  peer: 'pings all the time: each is answered with its own payload',
  acts: [...behaves, repeats(ping('it is me'), 5)],
  play: async ({ t, client, server }) => {
    await client.connect()
    const answers = (): string[] =>
      server.peers[0]?.frames.flatMap(({ opcode, payload }) =>
        opcode === OPCODE.pong ? [String(payload)] : [],
      ) ?? []
    await eventually(answers, ({ length }) => length >= 20, { what: '20 pongs' })
    t.ok(answers().every((payload) => payload === 'it is me'))
    t.match(await client.send('a'), { level: 'received', epoch: 1 })
  },
})

// --- Never reads ------------------------------------------------------------------------------------------------

const MIB = Buffer.alloc(1024 * 1024)

const settledCodes = async (sends: readonly Promise<unknown>[]): Promise<Set<string>> => {
  const settled = await Promise.allSettled(sends)
  return new Set(
    settled.map((result) => (result.status === 'fulfilled' ? 'written' : String(result.reason.code))),
  )
}

for (const [peer, talking] of [
  ['never reads', []],
  ['never reads, but talks', [talks]],
  ['never reads, and has ended its own side of TCP', [ends]],
] as const)
  scene({
    peer: `${peer}: given up when the kernel takes nothing more`,
    acts: [upgrades(), stopsReading, ...talking],
    options: ONCE,
    warnings: [DEGRADED],
    play: async ({ t, client }) => {
      const end = event(client, 'lost')
      const sends = Array.from({ length: 14 }, () => client.send(MIB))
      const codes = settledCodes(sends)
      t.match(await end, [{ code: 1006 }])
      t.equal(client.state, 'waiting')
      await client.close()
      const seen = await codes
      t.ok(seen.has('FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'), 'what was written and not proved')
      t.ok(seen.has('FORKSAFE_ERR_CLIENT_NOT_SENT'), 'what was never written')
    },
  })
