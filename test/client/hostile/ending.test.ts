// close() and terminate() against hostile peers, in each phase of a connection: both settle within their bounds, every
// send() is settled by then, and nothing is left.

import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { ClientState, GuardedClient, GuardedClientOptions } from '../../../src/client/index.js'
import { uninstrumentChildren } from '../../support/clean-children.js'
import { eventually, withDeadline } from '../../support/deadline.js'
import { socketsTo } from '../../support/socket-table.js'
import {
  answers,
  answersClose,
  answersPings,
  keepsTcpOpen,
  readsRequest,
  repeats,
  sends,
  stopsReading,
  upgrades,
  waitsFor,
} from './acts.js'
import { blackHole } from './black-hole.js'
import { close, closeCodeOf, OPCODE, text } from './frames.js'
import { type Act, type HostileServer, hostileServer } from './hostile-server.js'
import {
  AT_ONCE,
  CLOSE_TIMEOUT,
  DRAIN_TIMEOUT,
  hastyClient,
  LENIENCE,
  LONG,
  leavingNothing,
} from './outcomes.js'

uninstrumentChildren()

const RECEIVED = 'received'
const NOT_SENT = 'FORKSAFE_ERR_CLIENT_NOT_SENT'
const FATE_UNKNOWN = 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'
/** It comes back when the test is long over. */
const NEVER = { connectTimeout: LONG, backoff: { min: LONG, max: LONG } }
const BOTH = DRAIN_TIMEOUT + CLOSE_TIMEOUT

interface Phase {
  /** Completes "… against a peer that". */
  peer: string
  acts: readonly Act[]
  /** Default: plain, by address. */
  url?: (port: number) => string
  options?: Partial<GuardedClientOptions>
  /** When it is ended. */
  until: (client: GuardedClient, server: HostileServer) => unknown
  state: ClientState
  /** What is sent before that. Default: one short text. */
  messages?: readonly (string | Buffer)[]
  /** What becomes of it. */
  fates: readonly string[]
  /** ms that close() may take; terminate() takes none. */
  bound: number
  /** Close codes that the peer gets. Default none. */
  peerSees?: readonly [byClose: readonly number[], byTerminate: readonly number[]]
}

const BY_CLOSE_ALONE = [[1000], []] as const
const NOWHERE = [[], []] as const

const isAccepted = (_client: GuardedClient, { accepts }: HostileServer): Promise<unknown> =>
  eventually(
    () => accepts.length,
    (count) => count === 1,
    { what: 'the attempt to be accepted' },
  )

const isRequested = async (client: GuardedClient, server: HostileServer): Promise<unknown> => {
  await isAccepted(client, server)
  return server.peers[0]?.request
}

const isRead = async (client: GuardedClient, server: HostileServer): Promise<unknown> => {
  await isAccepted(client, server)
  return server.peers[0]?.frame(OPCODE.text)
}

const isProved = (client: GuardedClient): Promise<unknown> =>
  eventually(
    () => client.stats().confirmed,
    (count) => count === 1,
    { what: 'the message to be confirmed' },
  )

const PHASES: Phase[] = [
  // --- Not connected ------------------------------------------------------------------------------------------
  {
    peer: 'has a name that is never resolved',
    acts: [],
    url: (port) => `ws://upstream.test:${port}`,
    options: { ws: { lookup: () => {} } },
    until: async (client) => void (client.state === 'connecting' || (await once(client, 'connecting'))),
    state: 'connecting',
    fates: [NOT_SENT],
    bound: BOTH,
  },
  {
    peer: 'stalls the TLS handshake',
    acts: [],
    url: (port) => `wss://127.0.0.1:${port}`,
    until: isAccepted,
    state: 'connecting',
    fates: [NOT_SENT],
    bound: BOTH,
  },
  {
    peer: 'never answers the upgrade',
    acts: [keepsTcpOpen],
    until: isRequested,
    state: 'connecting',
    fates: [NOT_SENT],
    bound: BOTH,
  },
  {
    peer: 'drips headers',
    acts: [readsRequest, sends('HTTP/1.1 101 Switching Protocols\r\n'), repeats('x-drip: 1\r\n', 10)],
    until: isRequested,
    state: 'connecting',
    fates: [NOT_SENT],
    bound: BOTH,
  },
  {
    peer: 'answers 503',
    acts: [answers('503 No')],
    until: (client) => once(client, 'waiting'),
    state: 'waiting',
    fates: [NOT_SENT],
    bound: AT_ONCE,
  },
  {
    peer: 'answers 401',
    acts: [answers('401 No')],
    until: (client) => once(client, 'refused'),
    state: 'idle',
    fates: [NOT_SENT],
    bound: AT_ONCE,
  },
  // --- Open ---------------------------------------------------------------------------------------------------
  {
    peer: 'does not say what afterConnect waits for',
    acts: [answersClose(), upgrades()],
    options: { afterConnect: (session) => session.send('login').then(() => session.receive()) },
    until: isRead,
    state: 'connecting',
    fates: [NOT_SENT],
    bound: BOTH,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'says nothing after 101',
    acts: [upgrades()],
    until: isRead,
    state: 'open',
    fates: [FATE_UNKNOWN],
    bound: BOTH,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'talks, but proves nothing',
    acts: [answersClose(), upgrades(), repeats(text('news'), 5)],
    until: isRead,
    state: 'open',
    fates: [FATE_UNKNOWN],
    bound: DRAIN_TIMEOUT,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'never reads',
    acts: [upgrades(), stopsReading],
    until: (client) => once(client, 'opened'),
    state: 'open',
    messages: Array.from({ length: 14 }, () => Buffer.alloc(1024 * 1024)),
    fates: [FATE_UNKNOWN, NOT_SENT],
    bound: BOTH,
  },
  {
    peer: 'never answers Close',
    acts: [answersPings(), keepsTcpOpen, upgrades()],
    until: isProved,
    state: 'open',
    fates: [RECEIVED],
    bound: CLOSE_TIMEOUT,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'answers Close late',
    acts: [answersPings(), answersClose(CLOSE_TIMEOUT / 2), upgrades()],
    until: isProved,
    state: 'open',
    fates: [RECEIVED],
    bound: CLOSE_TIMEOUT,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'answers Close when nobody waits for it any more',
    acts: [answersPings(), keepsTcpOpen, answersClose(CLOSE_TIMEOUT * 2), upgrades()],
    until: isProved,
    state: 'open',
    fates: [RECEIVED],
    bound: CLOSE_TIMEOUT,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'talks on instead of answering Close',
    acts: [answersPings(), keepsTcpOpen, upgrades(), repeats(text('news'.repeat(1_000)), 1)],
    until: isProved,
    state: 'open',
    fates: [RECEIVED],
    bound: CLOSE_TIMEOUT,
    peerSees: BY_CLOSE_ALONE,
  },
  {
    peer: 'has closed, and keeps TCP open',
    acts: [answersPings(), keepsTcpOpen, upgrades(), waitsFor(OPCODE.ping), sends(close(1001))],
    until: (_client, { peers }) =>
      eventually(
        () => peers[0]?.closeFrames.length,
        (n) => n === 1,
        { what: 'the Close frame to be answered' },
      ),
    state: 'open',
    fates: [RECEIVED],
    bound: CLOSE_TIMEOUT,
    peerSees: [[1001], [1001]],
  },
]

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
