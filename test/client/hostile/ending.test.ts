// close() and terminate() against hostile peers, in each phase of a connection: both settle within their bounds, every
// send() is settled by then, and nothing is left.

import t, { type Test } from 'tap'
import type { GuardedClient, GuardedClientOptions } from '../../../src/client/index.js'
import { uninstrumentChildren } from '../../support/clean-children.js'
import { eventually, withDeadline } from '../../support/deadline.js'
import { socketsTo } from '../../support/socket-table.js'
import { blackHole } from './black-hole.js'
import { closeCodeOf } from './frames.js'
import { hostileServer } from './hostile-server.js'
import {
  AT_ONCE,
  CLOSE_TIMEOUT,
  DRAIN_TIMEOUT,
  hastyClient,
  LENIENCE,
  LONG,
  leavingNothing,
} from './outcomes.js'
import { BOTH, NEVER, NOT_SENT, NOWHERE, PHASES, type Phase } from './phases.js'

uninstrumentChildren()

const METHODS = ['close', 'terminate'] as const

for (const phase of PHASES)
  for (const [nth, method] of METHODS.entries())
    t.test(`${method}() against a peer that ${phase.peer}`, (t) =>
      leavingNothing(t, async () => {
        const server = await hostileServer(phase.acts)
        const url = phase.url?.(server.port) ?? server.url
        const client = hastyClient(url, { ...NEVER, ...timeouts(phase, method), ...phase.options })
        try {
          const fates = Promise.all((phase.messages ?? ['x']).map((data) => fateOf(client.send(data))))
          await withDeadline(Promise.resolve(phase.until(client, server)), {
            what: `a peer that ${phase.peer}`,
          })
          t.equal(client.state, phase.state)
          await end(t, client, method, phase.bound)
          t.same([...new Set(await fates)].sort(), [...phase.fates].sort(), 'what became of what was sent')
          t.ok(server.accepts.length <= 1, 'nothing was dialled again')
          await isLeft(server.port)
          const seen = server.peers.flatMap(({ closeFrames }) => closeFrames.map(closeCodeOf))
          t.same(seen, (phase.peerSees ?? NOWHERE)[nth], 'the Close frames that the peer got')
        } finally {
          await client.terminate()
          await server.stop()
        }
      }),
    )

for (const method of METHODS)
  t.test(`${method}() while nobody takes the connection`, (t) =>
    leavingNothing(t, async () => {
      const hole = await blackHole()
      const client = hastyClient(hole.url, { connectTimeout: LONG })
      try {
        const fate = fateOf(client.send('x'))
        await eventually(
          () => socketsTo(process.pid, hole.port).filter(({ state }) => state === 'SYN_SENT'),
          (sockets) => sockets.length === 1,
          { what: 'a SYN that nobody answers' },
        )
        await end(t, client, method, BOTH)
        t.equal(await fate, NOT_SENT)
      } finally {
        await client.terminate()
        await hole.stop()
      }
    }),
  )

/** What must not be waited for takes long. */
const timeouts = ({ bound }: Phase, method: 'close' | 'terminate'): Partial<GuardedClientOptions> => {
  const isDrained = bound === CLOSE_TIMEOUT || bound === AT_ONCE
  const isAnswered = bound === DRAIN_TIMEOUT || bound === AT_ONCE
  if (method === 'terminate') return { drainTimeout: LONG, closeTimeout: LONG }
  return {
    drainTimeout: isDrained ? LONG : DRAIN_TIMEOUT,
    closeTimeout: isAnswered ? LONG : CLOSE_TIMEOUT,
  }
}

const end = async (
  t: Test,
  client: GuardedClient,
  method: 'close' | 'terminate',
  bound: number,
): Promise<void> => {
  await withDeadline(client[method](), {
    what: `${method}() to settle`,
    timeout: (method === 'close' ? bound : AT_ONCE) + LENIENCE,
    last: () => client.state,
  })
  t.equal(client.state, 'closed')
  await t.rejects(client.send('late'), { code: 'FORKSAFE_ERR_CLIENT_CLOSED' })
  const { accepted, confirmed, rejected, pending } = client.stats()
  t.same([accepted, pending], [confirmed + rejected, 0], 'every message is settled')
}

const fateOf = (sent: Promise<{ level: string }>): Promise<string> =>
  sent.then(
    ({ level }) => level,
    (error: { code: string }) => error.code,
  )

const isLeft = (port: number): Promise<unknown> =>
  eventually(
    () => socketsTo(process.pid, port),
    (sockets) => sockets.length === 0,
    { what: 'the client to hold no socket' },
  )
