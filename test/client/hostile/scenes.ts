// One connection with a hostile peer, played as a test wants it and judged at its end: every message is settled, no attempt
// was made that was not announced, nothing is left.

import { once } from 'node:events'
import type { Test } from 'tap'
import type { GuardedClient, GuardedClientOptions } from '../../../src/client/index.js'
import { withDeadline } from '../../support/deadline.js'
import { repeats } from './acts.js'
import { OPCODE, text } from './frames.js'
import { type Act, type HostileServer, hostileServer } from './hostile-server.js'
import { hastyClient, LENIENCE, LONG, leavingNothing, logOf } from './outcomes.js'

export const DEGRADED = 'FORKSAFE_WARN_RECEIPTS_DEGRADED'
export const FATE_UNKNOWN = { code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN' }
/** One connection is looked at: no other one follows. */
export const ONCE = { backoff: { min: LONG, max: LONG } }
const QUICK = {
  heartbeatInterval: 60,
  heartbeatTimeout: 250,
  receiptTimeout: 600,
  backoff: { min: 5, max: 20 },
}

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

export const scene = (t: Test, { peer, acts, options, warnings, play }: Scene): unknown =>
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

export const event = (client: GuardedClient, name: 'lost' | 'opened' | 'receiptsRestored' | 'refused') =>
  once(client, name)

export const pingsOf = (server: HostileServer, nth = 0): number =>
  server.peers[nth]?.frames.filter(({ opcode }) => opcode === OPCODE.ping).length ?? 0

/** The text messages of each connection. */
export const textsOf = (server: HostileServer): string[][] =>
  server.peers.map(({ frames }) =>
    frames.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => String(payload)),
  )

export const talks = repeats(text('news'), 10)

/** The payloads of a connection's pongs. */
export const pongsOf = (server: HostileServer): string[] =>
  server.peers[0]?.frames.flatMap(({ opcode, payload }) =>
    opcode === OPCODE.pong ? [String(payload)] : [],
  ) ?? []
