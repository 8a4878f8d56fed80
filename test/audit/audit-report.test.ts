// What programs are told: the stable contract of `supervisor audit --json`.

import t from 'tap'
import {
  accepted,
  connection,
  connections,
  facts,
  listener,
  member,
  members,
  origin,
  PRIMARY,
  reportOf,
  SIBLING,
  unixSocket,
  WORKER,
} from './audit-world.js'

t.test('sockets of a process are grouped by endpoint and owner, with their states', async (t) => {
  const feed = connection(20)
  const raw = connections(3).map((socket, at) => ({
    ...socket,
    fd: 30 + at,
    local: { address: '10.0.0.1', port: 45_000 + at },
  }))
  const tree = members(
    member(WORKER, 'worker', [
      origin([feed], { client: { name: 'feed', epoch: 2 } }),
      origin(raw, { open: raw.map(({ local }, at) => ({ localPort: local?.port ?? 0, ageMs: at * 1_000 })) }),
    ]),
  )
  const closing = { ...connection(33), state: 'close-wait' as const }
  const report = reportOf(
    facts(
      {
        [PRIMARY]: [listener(18, 8080), unixSocket(19)],
        [WORKER]: [feed, ...raw, closing, accepted(40, 8080)],
      },
      { members: tree },
    ),
  )
  const [primary, worker] = report.processes
  t.match(primary, { role: 'primary', pid: PRIMARY, hasOrigins: false })
  t.match(primary?.groups, [
    { direction: 'listening', endpoint: '0.0.0.0:8080', count: 1 },
    { direction: 'other', endpoint: 'unix', count: 1 },
  ])
  t.match(worker, { role: 'worker', slot: 0, generation: 2, hasOrigins: true })
  t.match(worker?.groups, [
    {
      endpoint: 'api.example.com:443',
      client: null,
      count: 3,
      byState: { established: 3 },
      oldestMs: 2_000,
      fds: [30, 31, 32],
    },
    {
      endpoint: 'api.example.com:443',
      client: { name: 'feed', epoch: 2 },
      count: 1,
      at: ['app/feed.js:12:5'],
    },
    { endpoint: 'api.example.com:443', client: null, count: 1, byState: { 'close-wait': 1 }, at: [] },
    { direction: 'accepted', endpoint: '10.0.0.1:8080', count: 1 },
  ])
  t.match(worker?.sockets[0], {
    fd: 20,
    state: 'established',
    local: '10.0.0.1:40020',
    remote: '10.0.0.7:443',
    endpoint: 'api.example.com:443',
    client: { name: 'feed', epoch: 2 },
    ageMs: 5_000,
  })
})

t.test('an endpoint counts the connections of the whole tree, each once, beside its budget', async (t) => {
  const shared = connection(22)
  const report = reportOf(
    facts(
      { [WORKER]: [shared], [SIBLING]: [shared, connection(23, { state: 'time-wait' })] },
      { budgets: { '10.0.0.7:443': 5, 'other:1': 2 } },
    ),
  )
  t.match(report.endpoints, [
    {
      endpoint: '10.0.0.7:443',
      live: 1,
      byState: { established: 1, 'time-wait': 1 },
      unguarded: 1,
      guarded: 0,
      budget: 5,
    },
    { endpoint: 'other:1', live: 0, budget: 2, addresses: [] },
  ])
})
