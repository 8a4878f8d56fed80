// Where no connection comes about: names without an address, ports that take nobody, TLS that is not what it should be.

import { once } from 'node:events'
import t from 'tap'
import type { GuardedClientOptions } from '../../../src/client/index.js'
import { uninstrumentChildren } from '../../support/clean-children.js'
import { eventually } from '../../support/deadline.js'
import { socketsTo } from '../../support/socket-table.js'
import { behaves, keepsTcpOpen, sends } from './acts.js'
import { blackHole } from './black-hole.js'
import { certificates, HOST, needsOpenssl } from './certificates.js'
import { type Act, hostileServer } from './hostile-server.js'
import {
  AT_ONCE,
  CONNECT_TIMEOUT,
  FAILED,
  hastyClient,
  judge,
  leavingNothing,
  type Outcome,
  TIMED_OUT,
} from './outcomes.js'

uninstrumentChildren()

// --- Names ------------------------------------------------------------------------------------------------------

type Lookup = (
  host: string,
  options: unknown,
  callback: (error: Error | null, addresses?: unknown) => void,
) => void

const notFound: Lookup = (host, _options, callback) =>
  callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }))

/** Answers when nobody waits any more; its timer is none of the client's. */
const tooLate: Lookup = (_host, _options, callback) => {
  const answer = (): void => callback(null, [{ address: '127.0.0.1', family: 4 }])
  setTimeout(answer, CONNECT_TIMEOUT * 1.5).unref()
}

const lookups: [peer: string, lookup: Lookup, outcome: Outcome, bound: number, says: RegExp][] = [
  ['a name that does not exist', notFound, FAILED, AT_ONCE, /ENOTFOUND/],
  ['a name server that never answers', () => {}, TIMED_OUT, CONNECT_TIMEOUT, /not open within 150 ms/],
  ['a name server that answers too late', tooLate, TIMED_OUT, CONNECT_TIMEOUT, /not open within 150 ms/],
  [
    'a name server that says nonsense',
    (_host, _options, callback) => callback(null, [{ address: 'nonsense', family: 4 }]),
    FAILED,
    AT_ONCE,
    /Invalid IP address/,
  ],
]

for (const [peer, lookup, outcome, bound, says] of lookups)
  t.test(peer, (t) =>
    leavingNothing(t, () =>
      judge(t, { peer, acts: [], outcome, bound, says, options: { ws: { lookup } } }, `ws://${HOST}:1`, null),
    ),
  )

// --- Ports ------------------------------------------------------------------------------------------------------

t.test('a port that nobody listens on', (t) =>
  leavingNothing(t, async () => {
    const server = await hostileServer([])
    await server.stop()
    await judge(
      t,
      { peer: t.name, acts: [], outcome: FAILED, bound: AT_ONCE, says: /ECONNREFUSED/ },
      server.url,
      null,
    )
  }),
)

t.test('a listener that never accepts, whose queue is full', (t) =>
  leavingNothing(t, async () => {
    const hole = await blackHole()
    try {
      const probe = hastyClient(hole.url, { connectTimeout: '1m' })
      const connecting = probe.connect()
      const isSyn = ({ state }: { state: string }): boolean => state === 'SYN_SENT'
      await eventually(
        () => socketsTo(process.pid, hole.port).filter(isSyn),
        (sockets) => sockets.length === 1,
        { what: 'a SYN that nobody answers' },
      )
      await Promise.all([probe.close(), t.rejects(connecting, { code: 'FORKSAFE_ERR_CLIENT_CLOSED' })])
      await judge(t, { peer: t.name, acts: [], outcome: TIMED_OUT, bound: CONNECT_TIMEOUT }, hole.url, null)
    } finally {
      await hole.stop()
    }
  }),
)

// --- TLS --------------------------------------------------------------------------------------------------------

t.test('TLS', needsOpenssl, async (t) => {
  const { valid, expired } = certificates(t)
  const asNamed: GuardedClientOptions['tls'] = { servername: HOST, ca: valid.cert }

  const cases: [
    peer: string,
    server: { acts: Act[]; tls?: typeof valid },
    tls: GuardedClientOptions['tls'],
    outcome: Outcome,
    bound: number,
    says: RegExp,
  ][] = [
    [
      'a certificate that has expired',
      { acts: [...behaves], tls: expired },
      { servername: HOST, ca: expired.cert },
      FAILED,
      AT_ONCE,
      /certificate has expired/,
    ],
    [
      'the certificate of another host',
      { acts: [...behaves], tls: valid },
      { servername: 'other.test', ca: valid.cert },
      FAILED,
      AT_ONCE,
      /does not match certificate's altnames/,
    ],
    [
      'a certificate that nobody we trust has signed',
      { acts: [...behaves], tls: valid },
      { servername: HOST },
      FAILED,
      AT_ONCE,
      /self-signed certificate/,
    ],
    ['a TLS handshake that stalls', { acts: [] }, asNamed, TIMED_OUT, CONNECT_TIMEOUT, /within 150 ms/],
    [
      'plain text where TLS is expected',
      { acts: [sends('HTTP/1.1 400 Bad Request\r\n\r\n')] },
      asNamed,
      FAILED,
      AT_ONCE,
      /wrong version number|packet length too long/,
    ],
    [
      'TLS, and no answer to the upgrade',
      { acts: [keepsTcpOpen], tls: valid },
      asNamed,
      TIMED_OUT,
      CONNECT_TIMEOUT,
      /within 150 ms/,
    ],
  ]

  for (const [peer, { acts, tls }, clientTls, outcome, bound, says] of cases)
    t.test(peer, (t) =>
      leavingNothing(t, async () => {
        const server = await hostileServer(acts, tls)
        try {
          const options = { tls: clientTls ?? {} }
          const url = `wss://127.0.0.1:${server.port}`
          await judge(t, { peer, acts, outcome, bound, says, options }, url, server)
        } finally {
          await server.stop()
        }
      }),
    )

  t.test('with the right certificate the same client gets through', async (t) => {
    await leavingNothing(t, async () => {
      const server = await hostileServer(behaves, valid)
      const client = hastyClient(server.url, { tls: asNamed, connectTimeout: 5_000 })
      try {
        t.match(await client.send('hello'), { level: 'received' })
      } finally {
        await client.close()
        await server.stop()
      }
    })
  })
})

/** Session tickets and the like come once per process: they are no leak of the case that comes first. */
t.before(async () => {
  const server = await hostileServer([])
  const client = hastyClient(server.url)
  const failed = once(client, 'waiting')
  client.connect().catch(() => {})
  await failed
  await client.close()
  await server.stop()
})
