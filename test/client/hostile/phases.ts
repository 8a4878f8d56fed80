// The phases of a connection with a hostile peer in which a client may be ended, and what becomes of it there: the table
// that ending.test.ts plays.

import { once } from 'node:events'
import type { ClientState, GuardedClient, GuardedClientOptions } from '../../../src/client/index.js'
import { eventually } from '../../support/deadline.js'
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
import { close, OPCODE, text } from './frames.js'
import type { Act, HostileServer } from './hostile-server.js'
import { AT_ONCE, CLOSE_TIMEOUT, DRAIN_TIMEOUT, LONG } from './outcomes.js'

const RECEIVED = 'received'
export const NOT_SENT = 'FORKSAFE_ERR_CLIENT_NOT_SENT'
const FATE_UNKNOWN = 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'
/** It comes back when the test is long over. */
export const NEVER = { connectTimeout: LONG, backoff: { min: LONG, max: LONG } }
export const BOTH = DRAIN_TIMEOUT + CLOSE_TIMEOUT

export interface Phase {
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
export const NOWHERE = [[], []] as const

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

export const PHASES: Phase[] = [
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
