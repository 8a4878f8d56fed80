// Peers that are hostile before there is a connection: in TCP, in the upgrade.

import t from 'tap'
import { eventually } from '../../support/deadline.js'
import { answers, ends, keepsTcpOpen, readsRequest, repeats, resets, sends, upgrades } from './acts.js'
import { hostileServer } from './hostile-server.js'
import {
  AT_ONCE,
  type Case,
  CONNECT_TIMEOUT,
  FAILED,
  hastyClient,
  leavingNothing,
  type Outcome,
  type Pause,
  playCase,
  REFUSED,
  TIMED_OUT,
} from './outcomes.js'

const cases: Case[] = [
  // --- Silence ------------------------------------------------------------------------------------------------
  { peer: 'accepts and never answers', acts: [], outcome: TIMED_OUT, bound: CONNECT_TIMEOUT },
  {
    peer: 'keeps its end of TCP open and never answers',
    acts: [keepsTcpOpen],
    outcome: TIMED_OUT,
    bound: CONNECT_TIMEOUT,
  },
  {
    peer: 'drips headers without end',
    acts: [readsRequest, sends('HTTP/1.1 101 Switching Protocols\r\n'), repeats('x-drip: 1\r\n', 10)],
    outcome: TIMED_OUT,
    bound: CONNECT_TIMEOUT,
  },
  {
    peer: 'drips the status line',
    acts: [readsRequest, sends('HTTP/1.1 503 '), repeats('.', 10)],
    outcome: TIMED_OUT,
    bound: CONNECT_TIMEOUT,
  },
  {
    peer: 'says 100 Continue without end',
    acts: [readsRequest, repeats('HTTP/1.1 100 Continue\r\n\r\n', 10)],
    outcome: TIMED_OUT,
    bound: CONNECT_TIMEOUT,
  },
  {
    peer: 'answers 503 with a body that never ends',
    acts: [
      readsRequest,
      sends('HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n'),
      repeats('1\r\nx\r\n', 10),
    ],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /503/,
  },
  // --- No HTTP ------------------------------------------------------------------------------------------------
  { peer: 'resets at once', acts: [resets], outcome: FAILED, bound: AT_ONCE },
  { peer: 'resets after the request', acts: [readsRequest, resets], outcome: FAILED, bound: AT_ONCE },
  { peer: 'ends TCP at once', acts: [ends], outcome: FAILED, bound: AT_ONCE },
  { peer: 'speaks SMTP', acts: [sends('220 mail\r\n')], outcome: FAILED, bound: AT_ONCE },
  {
    peer: 'sends half of an answer and ends',
    acts: [readsRequest, sends('HTTP/1.1 101 Switch'), ends],
    outcome: FAILED,
    bound: AT_ONCE,
  },
  {
    peer: 'sends more headers than anybody wants',
    acts: [readsRequest, sends(`HTTP/1.1 101 Switching Protocols\r\nx: ${'x'.repeat(100_000)}`)],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /overflow/i,
  },
  // --- No upgrade ---------------------------------------------------------------------------------------------
  {
    peer: 'answers 200',
    acts: [answers('200 OK', {}, 'hello')],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /with 200/,
  },
  {
    peer: 'redirects',
    acts: [answers('301 Moved', { location: 'http://127.0.0.1:1/' })],
    outcome: REFUSED,
    bound: AT_ONCE,
    says: /with 301 \(redirects are not followed\)/,
  },
  { peer: 'answers 401', acts: [answers('401 No')], outcome: REFUSED, bound: AT_ONCE, says: /with 401/ },
  { peer: 'answers 403', acts: [answers('403 No')], outcome: REFUSED, bound: AT_ONCE, says: /with 403/ },
  { peer: 'answers 404', acts: [answers('404 No')], outcome: FAILED, bound: AT_ONCE, says: /with 404/ },
  { peer: 'answers 429', acts: [answers('429 Slow')], outcome: FAILED, bound: AT_ONCE, says: /with 429/ },
  { peer: 'answers 503', acts: [answers('503 No')], outcome: FAILED, bound: AT_ONCE, says: /with 503/ },
  // --- A wrong upgrade ----------------------------------------------------------------------------------------
  {
    peer: 'proves the key of another',
    acts: [upgrades({ 'sec-websocket-accept': 'dGhlIHNhbXBsZSBub25jZQ==' })],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /Invalid Sec-WebSocket-Accept header/,
  },
  {
    peer: 'upgrades to something else',
    acts: [upgrades({ upgrade: 'h2c' })],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /Invalid Upgrade header/,
  },
  {
    peer: 'chooses a subprotocol that was not offered',
    acts: [upgrades({ 'sec-websocket-protocol': 'graphql-ws' })],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /subprotocol but none was requested/,
  },
  {
    peer: 'chooses no subprotocol of those that were offered',
    acts: [upgrades()],
    options: { protocols: ['one', 'two'] },
    outcome: FAILED,
    bound: AT_ONCE,
    says: /sent no subprotocol/,
  },
  {
    peer: 'chooses an extension that was not offered',
    acts: [upgrades({ 'sec-websocket-extensions': 'permessage-deflate' })],
    outcome: FAILED,
    bound: AT_ONCE,
    says: /no extension was requested/,
  },
]

for (const tested of cases) playCase(t, tested)

// --- Retry-After ------------------------------------------------------------------------------------------------

const LONGEST = 40_000
/** What the backoff alone comes to at most, the first time. */
const OWN_PAUSE: Pause = [10, 20]

const httpDate = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toUTCString()

const retryAfters: [status: string, retryAfter: string, outcome: Outcome, pause: Pause][] = [
  ['503 No', '3', FAILED, [3_000, 3_000]],
  ['429 Slow', '3', FAILED, [3_000, 3_000]],
  ['503 No', httpDate(30), FAILED, [1_000, 30_000]],
  ['503 No', httpDate(-30), FAILED, OWN_PAUSE],
  ['503 No', '0', FAILED, OWN_PAUSE],
  ['503 No', '-5', FAILED, OWN_PAUSE],
  ['503 No', '1e3', FAILED, OWN_PAUSE],
  ['503 No', 'soon', FAILED, OWN_PAUSE],
  ['503 No', 'Mon, soon', FAILED, OWN_PAUSE],
  ['503 No', '', FAILED, OWN_PAUSE],
  ['503 No', '999999999', FAILED, [LONGEST, LONGEST]],
  ['429 Slow', '9'.repeat(400), FAILED, [LONGEST, LONGEST]],
  ['503 No', 'Fri, 31 Dec 9999 23:59:59 GMT', FAILED, [LONGEST, LONGEST]],
  ['404 No', '3', FAILED, OWN_PAUSE],
]

for (const [status, retryAfter, outcome, pause] of retryAfters) {
  const shown = retryAfter === '' ? 'that is empty' : retryAfter.slice(0, 30)
  playCase(t, {
    peer: `answers ${status.slice(0, 3)} with Retry-After ${shown}`,
    acts: [answers(status, { 'retry-after': retryAfter })],
    outcome,
    bound: AT_ONCE,
    attempts: 1,
    pause,
    options: { backoff: { min: 10, max: LONGEST } },
  })
}

// --- No storm ---------------------------------------------------------------------------------------------------

const LEAST_PAUSE = 60
/** A timer may ring this much before its time, by another clock. */
const EARLY = 10

for (const [peer, acts] of [
  ['resets each connection', [resets]],
  ['answers 500', [answers('500 No')]],
  ['upgrades and ends', [upgrades(), ends]],
] as const)
  t.test(`a peer that ${peer}: the attempts keep their distance`, (t) =>
    leavingNothing(t, async () => {
      const server = await hostileServer(acts)
      const client = hastyClient(server.url, { backoff: { min: LEAST_PAUSE, max: 2 * LEAST_PAUSE } })
      try {
        // However often it is asked.
        const asking = setInterval(() => client.connect().catch(() => {}), 1)
        await eventually(
          () => server.accepts.length,
          (count) => count >= 5,
          { what: '5 attempts' },
        )
        clearInterval(asking)
        const distances = server.accepts.slice(1).map((at, nth) => at - (server.accepts[nth] ?? 0))
        t.ok(
          distances.every((distance) => distance >= LEAST_PAUSE - EARLY),
          `attempts ${distances.map(Math.round).join(', ')} ms apart`,
        )
      } finally {
        await client.terminate()
        await server.stop()
      }
    }),
  )
