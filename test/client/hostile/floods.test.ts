// Peers that want too much or take too little: pings without end, and messages that are never read.

import t from 'tap'
import { eventually } from '../../support/deadline.js'
import { behaves, ends, sends, stopsReading, upgrades, waitsFor } from './acts.js'
import { OPCODE, ping, text } from './frames.js'
import { DEGRADED, event, ONCE, pongsOf, scene, talks } from './scenes.js'

/** Many at once, and the last of them another. */
const FLOOD = Buffer.concat([...Array.from({ length: 10_000 }, () => ping('again')), ping('last')])

scene(t, {
  peer: 'floods with pings: the latest is answered, and the connection stays',
  acts: [...behaves, sends(FLOOD)],
  play: async ({ t, client, server }) => {
    t.match(await client.send('a'), { level: 'received', epoch: 1 })
    await eventually(
      () => pongsOf(server),
      (pongs) => pongs.includes('last'),
      { what: 'the latest ping to be answered' },
    )
    t.ok(pongsOf(server).length < 10_000)
    t.equal(client.state, 'open')
  },
})

scene(t, {
  peer: 'floods with pings and reads nothing: the connection stays',
  acts: [upgrades(), stopsReading, sends(FLOOD), talks],
  warnings: [DEGRADED],
  play: async ({ t, client }) => {
    t.match(await client.send('a'), { level: 'written', epoch: 1 })
    t.equal(client.state, 'open')
  },
})

scene(t, {
  peer: 'pings while our consumer does not read: it is answered when the consumer reads on',
  acts: [
    ...behaves,
    sends(...Array.from({ length: 200 }, () => text('news'))),
    waitsFor(OPCODE.pong),
    sends(...Array.from({ length: 200 }, (_, nth) => ping(String(nth)))),
  ],
  play: async ({ t, client, server }) => {
    const news = client.messages()
    // A pong that nobody asked for: we do not read.
    await eventually(
      () => pongsOf(server),
      (pongs) => pongs.includes(''),
      { what: 'the socket to be paused' },
    )
    for (let n = 0; n < 200; n++) await news.next()
    await eventually(
      () => pongsOf(server),
      (pongs) => pongs.includes('199'),
      { what: 'the latest ping to be answered' },
    )
    t.match(client.stats(), { reconnects: 0, epoch: 1 })
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

const SILENT = /silent and did not answer a ping within 250 ms/
const STUCK = /did not take what was written within 600 ms/

for (const [peer, talking, says, warnings] of [
  ['never reads and says nothing', [], SILENT, []],
  ['never reads, but talks', [talks], STUCK, [DEGRADED]],
  ['never reads, and has ended its own side of TCP', [ends], SILENT, []],
] as const)
  scene(t, {
    peer: `${peer}: given up, and each message has its own truth`,
    acts: [upgrades(), stopsReading, ...talking],
    options: ONCE,
    warnings,
    play: async ({ t, client }) => {
      const end = event(client, 'lost')
      const sends = Array.from({ length: 14 }, () => client.send(MIB))
      const codes = settledCodes(sends)
      t.match(await end, [{ code: 1006, message: says }])
      t.equal(client.state, 'waiting')
      await client.close()
      const seen = await codes
      t.ok(seen.has('FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'), 'what was written and not proved')
      t.ok(seen.has('FORKSAFE_ERR_CLIENT_NOT_SENT'), 'what was never written')
    },
  })
