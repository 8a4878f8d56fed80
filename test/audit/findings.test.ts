// What is a finding and what is none, kind by kind, without a process: thresholds, who is named, what is left out by design.

import t from 'tap'
import { factsOf } from '../../src/audit/audit-facts.js'
import type { HeldSocket } from '../../src/audit/socket-table.js'
import type { Trend } from '../../src/audit/trend.js'
import type { Finding } from '../../src/shared/finding.js'
import { matchEach } from '../support/match-each.js'
import {
  accepted,
  connection,
  connections,
  facts,
  findingsOf,
  found,
  listener,
  look,
  member,
  members,
  origin,
  PRIMARY,
  SIBLING,
  UPSTREAM,
  unixSocket,
  unowned,
  WORKER,
} from './audit-world.js'

const only = (findings: Finding[]): Finding => {
  const [first] = findings
  if (first === undefined || findings.length !== 1)
    throw new Error(`not one finding: ${JSON.stringify(findings)}`)
  return first
}

t.test('a service with listeners, clients and one guarded connection a worker has no finding', async (t) => {
  const feed = [connection(20)]
  const other = [connection(21)]
  const listening = listener(18, 8080)
  const all = facts(
    {
      [PRIMARY]: [listening, unixSocket(19), unixSocket(5, { state: 'listen', path: '/run/api.sock' })],
      [WORKER]: [...feed, accepted(30, 8080), accepted(31, 8080), unixSocket(3)],
      [SIBLING]: [...other, accepted(30, 8080)],
    },
    {
      members: members(
        member(WORKER, 'worker', [origin(feed, { client: { name: 'feed', epoch: 1 } })]),
        member(SIBLING, 'worker', [origin(other, { client: { name: 'feed', epoch: 1 } })]),
      ),
      budgets: { 'api.example.com:443': 2 },
    },
  )
  t.same(found(all), [])
})

t.test('one socket in two processes is a finding that names both', async (t) => {
  const held = connection(22)
  const finding = only(findingsOf(facts({ [WORKER]: [held], [SIBLING]: [{ ...held, fd: 30 }] })))
  t.match(finding, {
    kind: 'sharedSocket',
    severity: 'problem',
    pid: WORKER,
    endpoint: '10.0.0.7:443',
    count: 1,
  })
  t.equal(finding.who, 'worker 0 (pid 100, generation 2)')
  t.match(
    finding.what,
    /to 10\.0\.0\.7:443 \(established\) at fd 22 in common with worker 1 \(pid 101, generation 2\)/,
  )
})

t.test(
  'a socket that the launcher left open is one finding with its descriptor and the way to close it',
  async (t) => {
    const held = connection(40)
    const finding = only(findingsOf(facts({ [PRIMARY]: [held], [WORKER]: [held], [SIBLING]: [held] })))
    t.match(finding, { kind: 'sharedSocket', pid: PRIMARY, count: 1, who: 'primary (pid 9)' })
    t.match(
      finding.what,
      /fd 40, and so have worker 0 .*, worker 1 .*: it came from whoever started the supervisor/,
    )
    t.match(finding.todo, /exec 40>&-/)
  },
)

t.test('many shared sockets of one cause are one finding', async (t) => {
  const held = Array.from({ length: 2_000 }, (_, at) => accepted(20 + at, 8080))
  const all = { [PRIMARY]: [listener(18, 8080)], [WORKER]: held, [SIBLING]: held }
  const finding = only(findingsOf(facts(all)))
  t.match(finding, { kind: 'sharedSocket', count: 2_000, what: /, and 1999 more like it$/ })
})

t.test('a unix socket that came down from the launcher is a note', async (t) => {
  const held = unixSocket(40)
  matchEach(t, found(facts({ [PRIMARY]: [held], [WORKER]: [held] })), [/^sharedSocket note 1/])
})

t.test('what waits in the primary for a worker, and a look-up of a name, are no problems', async (t) => {
  const waiting = [20, 21, 22, 23].map((fd) => accepted(fd, 8080, { state: 'close-wait' }))
  matchEach(t, found(facts({ [PRIMARY]: [listener(18, 8080), ...waiting] })), [/^closeWait note 4/])
  const dns = { kind: 'udp' as const, state: 'connected' as const, remote: { address: '10.0.0.2', port: 53 } }
  t.same(found(facts({ [PRIMARY]: [connection(30, dns)] })), [])
})

t.test('what is ended from here alone is still held', async (t) => {
  const held = connections(20, { state: 'fin-wait-2' })
  matchEach(t, found(facts({ [WORKER]: held })), [/^unguardedPile problem 20/])
})

t.test('a budget by name counts what was dialled by address too', async (t) => {
  const [byName, byAddress] = [connection(22), connection(23)]
  const tree = members(
    member(WORKER, 'worker', [origin([byName])]),
    member(SIBLING, 'worker', [origin([byAddress], { host: '10.0.0.7' })]),
  )
  const all = facts(
    { [WORKER]: [byName], [SIBLING]: [byAddress] },
    {
      members: tree,
      names: new Map([['10.0.0.7:443', 'api.example.com:443']]),
      budgets: { 'api.example.com:443': 1 },
    },
  )
  matchEach(t, found(all), [/^overBudget problem 2/])
})

t.test('what is shared by design is no finding', async (t) => {
  const stdio = unixSocket(1)
  const listening = listener(18, 8080)
  const datagrams = connection(19, { kind: 'udp', state: 'bound', remote: null })
  const shared = [stdio, listening, datagrams]
  t.same(found(facts({ [PRIMARY]: shared, [WORKER]: shared, [SIBLING]: shared })), [])
  const outgoing = { ...datagrams, state: 'connected' as const, remote: UPSTREAM }
  matchEach(t, found(facts({ [WORKER]: [outgoing], [SIBLING]: [outgoing] })), [
    /^sharedSocket problem 1 worker 0/,
  ])
  // A listener that a grandchild has too keeps the port taken after the service has gone.
  const tree = members(member(200, 'descendant', null))
  matchEach(t, found(facts({ [WORKER]: [listening], 200: [listening] }, { members: tree })), [
    /^sharedSocket problem/,
  ])
})

t.test('what only the first look showed was on its way', async (t) => {
  const handed = accepted(22, 8080)
  const first = look({
    [PRIMARY]: [listener(18, 8080), handed, connection(25)],
    [WORKER]: [{ ...handed, fd: 30 }],
  })
  const closing = connections(5, { state: 'close-wait' })
  const all = factsOf(
    { ...first, processes: [...first.processes, ...look({ 300: closing }).processes.slice(3)] },
    members(),
  )
  t.same(
    found(all).map((text) => text.split(' ')[0]),
    ['sharedSocket', 'connectionInPrimary', 'closeWait'],
  )
  t.same(found(all, look({ [WORKER]: [{ ...handed, fd: 30 }] })), [])
})

t.test('a connection that a worker was handed is a finding, unless it came in at a listener', async (t) => {
  const held = connection(22)
  const handed = (socket: typeof held, port: number) =>
    members(member(WORKER, 'worker', [origin([socket], { passed: true, at: null, host: '10.0.0.7', port })]))
  const finding = only(findingsOf(facts({ [WORKER]: [held] }, { members: handed(held, 443) })))
  t.match(finding, { kind: 'passedConnection', severity: 'problem', pid: WORKER, endpoint: '10.0.0.7:443' })
  t.match(finding.what, 'was handed 1 connection to 10.0.0.7:443')
  const sticky = accepted(23, 8080)
  const tree = { [PRIMARY]: [listener(18, 8080)], [WORKER]: [sticky] }
  t.same(found(facts(tree, { members: handed(sticky, 50_023) })), [])
  // Shared as well, it is told as that.
  const both = { [PRIMARY]: [{ ...held, fd: 30 }], [WORKER]: [held] }
  matchEach(t, found(facts(both, { members: handed(held, 443) })), [/^sharedSocket/])
})

t.test('a connection of the primary is a finding unless a guarded client owns it', async (t) => {
  const held = [connection(22), connection(23)]
  const finding = only(findingsOf(facts({ [PRIMARY]: held })))
  t.match(finding, { kind: 'connectionInPrimary', severity: 'problem', count: 2, endpoint: '10.0.0.7:443' })
  const guarded = members(member(PRIMARY, 'primary', [origin(held, { client: { name: 'feed', epoch: 3 } })]))
  t.same(found(facts({ [PRIMARY]: held }, { members: guarded })), [])
  const known = members(member(PRIMARY, 'primary', [origin(held)]))
  t.match(
    only(findingsOf(facts({ [PRIMARY]: held }, { members: known }))).what,
    /api\.example\.com:443 .*, opened at app\/feed\.js:12:5/,
  )
  // What nobody saw being dialled may be that of a resource that is open, as long as there are not more.
  matchEach(t, found(facts({ [PRIMARY]: held }, { resources: ['redis'] })), [
    /^connectionInPrimary problem 1/,
  ])
  t.same(found(facts({ [PRIMARY]: held }, { resources: ['redis', 'feed'] })), [])
  matchEach(t, found(facts({ [PRIMARY]: held }, { members: known, resources: ['redis', 'feed'] })), [
    /^connectionInPrimary problem 2/,
  ])
  // Who probes /livez is no upstream.
  t.same(found(facts({ [PRIMARY]: [listener(18, 9090), accepted(30, 9090)] })), [])
})

t.test('the primary’s connection that a worker has too is told once, as shared', async (t) => {
  const held = connection(22)
  matchEach(t, found(facts({ [PRIMARY]: [held], [WORKER]: [held] })), [/^sharedSocket/])
})

t.test('an orphan is a finding when it holds something of a network', async (t) => {
  const tree = members(member(300, 'orphan', null))
  const finding = only(findingsOf(facts({ 300: [connection(22)] }, { members: tree })))
  t.match(finding, { kind: 'orphan', severity: 'problem', pid: 300, who: 'process 300 (node 300.js)' })
  t.match(finding.todo, /kill 300/)
  matchEach(t, found(facts({ 300: [listener(22, 8080)] }, { members: tree })), [/^orphan problem 1/])
  t.same(found(facts({ 300: [unixSocket(1)] }, { members: tree })), [])
})

t.test('three connections in CLOSE_WAIT to one endpoint are a problem, fewer a note', async (t) => {
  const stuck = (count: number): HeldSocket[] => connections(count, { state: 'close-wait' })
  matchEach(t, found(facts({ [WORKER]: stuck(3) })), ['closeWait problem 3 worker 0 (pid 100, generation 2)'])
  matchEach(t, found(facts({ [WORKER]: stuck(2) })), ['closeWait note 2 worker 0 (pid 100, generation 2)'])
  const elsewhere = connections(2, { state: 'close-wait', remote: { address: '10.0.0.8', port: 443 } })
  matchEach(t, found(facts({ [WORKER]: [...stuck(2), ...elsewhere] })), [
    /closeWait note 2/,
    /closeWait note 2/,
  ])
  const fromClients = Array.from({ length: 4 }, (_, at) => accepted(30 + at, 8080, { state: 'close-wait' }))
  t.match(
    only(findingsOf(facts({ [PRIMARY]: [listener(18, 8080)], [WORKER]: fromClients }))).what,
    /clients of 10\.0\.0\.1:8080/,
  )
})

t.test('CLOSE_WAIT in a worker that does not answer is a note: it has not come to it', async (t) => {
  const silent = members(member(WORKER, 'worker', null))
  const stuck = connections(9, { state: 'close-wait' })
  matchEach(t, found(facts({ [WORKER]: stuck }, { members: silent })), [/^closeWait note 9/])
})

t.test('200 connections in TIME_WAIT to one endpoint of the tree are a problem', async (t) => {
  const pile = (count: number, tree: Record<number, HeldSocket[]>) =>
    factsOf(look(tree, { unowned: unowned(count, 'time-wait') }), members())
  const goesThere = { [WORKER]: [connection(20)] }
  matchEach(t, found(pile(200, goesThere)), ['timeWait problem 200 this supervisor'])
  t.same(found(pile(199, goesThere)), [])
  t.same(found(pile(5_000, {})), [], 'of somebody else on this machine')
  const closed = members(member(WORKER, 'worker', [origin([], { opened: 900, closed: 900 })]))
  const names = new Map([['10.0.0.7:443', 'api.example.com:443']])
  matchEach(t, found({ ...pile(900, {}), members: closed, names }), [/^timeWait problem 900/])
  // Clients of ours that went: they are closed by us, and stay behind at our port.
  const clients = unowned(900, 'time-wait', { local: { address: '10.0.0.1', port: 8080 } })
  t.same(
    found(
      factsOf(
        look({ [PRIMARY]: [listener(18, 8080)], [WORKER]: [connection(20)] }, { unowned: clients }),
        members(),
      ),
    ),
    [],
  )
})

t.test('more connections than the budget are a problem that counts them by process', async (t) => {
  const held = [connection(20), connection(21)]
  const [one, two] = held
  if (one === undefined || two === undefined) throw new Error('no sockets')
  const tree = members(
    member(WORKER, 'worker', [origin([one], { client: { name: 'feed', epoch: 1 } })]),
    member(SIBLING, 'worker', [origin([two], { client: { name: 'feed', epoch: 1 } })]),
  )
  const budget = (count: number) =>
    facts({ [WORKER]: [one], [SIBLING]: [two] }, { members: tree, budgets: { 'api.example.com:443': count } })
  const finding = only(findingsOf(budget(1)))
  t.match(finding, { kind: 'overBudget', severity: 'problem', count: 2, who: 'this supervisor', pid: null })
  t.match(finding.what, /worker 0 \(pid 100, generation 2\): 1; worker 1 \(pid 101, generation 2\): 1/)
  t.same(found(budget(2)), [])
  matchEach(t, found(budget(0)), [/^overBudget/])
})

t.test(
  'a budget by name counts connections whose address was looked up, or dialled by somebody else',
  async (t) => {
    const budgets = { 'api.example.com:443': 1 }
    const held = { [WORKER]: [connection(20)], [SIBLING]: [connection(21)] }
    t.same(found(facts(held, { budgets })), [])
    const names = new Map([['10.0.0.7:443', 'api.example.com:443']])
    matchEach(t, found(facts(held, { budgets, names })), [/^overBudget problem 2/])
    const said = members(
      member(WORKER, 'worker', [origin(held[WORKER] ?? [], { client: { name: 'a', epoch: 1 } })]),
    )
    matchEach(t, found(facts(held, { budgets, members: said })), [/^overBudget problem 2/])
    matchEach(t, found(facts(held, { budgets: { '10.0.0.7:443': 1 } })), [/^overBudget problem 2/])
  },
)

t.test('connections that are closing do not count for a budget', async (t) => {
  const held = [
    connection(20),
    connection(21, { state: 'fin-wait-2' }),
    connection(22, { state: 'last-ack' }),
  ]
  t.same(found(facts({ [WORKER]: held }, { budgets: { '10.0.0.7:443': 1 } })), [])
})

const trend = (...counts: number[]): Trend => counts.map((count, at) => ({ at: at * 60_000, count }))

t.test('what grew in five looks and never fell is growing', async (t) => {
  const seen = (...counts: number[]) =>
    found(facts({}, { trends: new Map([['10.0.0.7:443', trend(...counts)]]) }))
  t.match(seen(1, 2, 3, 4, 5, 6), ['growing problem 6 this supervisor'])
  t.match(seen(9, 1, 2, 2, 3, 4, 5, 9), [/^growing problem 9/])
  t.same(seen(1, 3, 5, 7, 9), [], 'four steps')
  t.same(seen(1, 2, 3, 4, 5, 4), [], 'it fell')
  t.same(seen(0, 50), [], 'one step: a service that has started')
  t.same(seen(1, 2, 3, 4, 5, 6, ...Array<number>(20).fill(6)), [], 'a pool that was filled long ago')
  const finding = only(
    findingsOf(facts({}, { trends: new Map([['10.0.0.7:443', trend(1, 3, 5, 7, 9, 11)]]) })),
  )
  t.match(finding.what, /1 then, 11 now, \+120 an hour/)
})

t.test('three WebSockets of one process to one endpoint are a pile', async (t) => {
  const pile = (count: number, over = {}) => {
    const held = connections(count)
    const tree = members(member(WORKER, 'worker', [origin(held, { webSocket: true, ...over })]))
    return findingsOf(facts({ [WORKER]: held }, { members: tree }))
  }
  const finding = only(pile(3, { inRequest: 'GET /orders' }))
  t.match(finding, { kind: 'unguardedPile', severity: 'problem', count: 3, endpoint: 'api.example.com:443' })
  t.match(
    finding.what,
    /3 WebSockets to api\.example\.com:443 .* opened at app\/feed\.js:12:5 while GET \/orders was answered/,
  )
  t.same(pile(2), [])
  t.same(pile(3, { client: { name: 'feed', epoch: 1 } }), [])
})

t.test('sockets that the application opens and does not close are a pile of four', async (t) => {
  const pile = (count: number, over = {}) => {
    const held = connections(count)
    const tree = members(member(WORKER, 'worker', [origin(held, over)]))
    return found(facts({ [WORKER]: held }, { members: tree }))
  }
  t.match(pile(4), [/^unguardedPile problem 4/])
  t.same(pile(3), [])
  t.same(pile(4, { opened: 100, closed: 96 }), [], 'most are closed again')
  t.same(pile(15, { via: 'pg' }), [], 'a pool of a library')
  t.match(pile(16, { via: 'pg' }), [/^unguardedPile problem 16/])
  t.same(pile(15, { at: null }), [])
  t.match(pile(16, { at: null }), [/^unguardedPile problem 16/])
  t.same(pile(63, { via: 'http' }), [], 'what agents and fetch() keep for the next request')
  t.match(pile(64, { via: 'http' }), [/^unguardedPile problem 64/])
})

t.test('of a process that says nothing of itself only a very large number is a pile', async (t) => {
  const tree = members(member(200, 'descendant', null), member(WORKER, 'worker', null))
  t.same(found(facts({ 200: connections(63), [WORKER]: connections(63) }, { members: tree })), [])
  matchEach(t, found(facts({ 200: connections(64) }, { members: tree })), [
    /^unguardedPile problem 64 process 200/,
  ])
})

t.test(
  'what the guard of requests saw is told with the place, and the pile that came of it is not told again',
  async (t) => {
    const held = connections(5)
    const tree = members(member(WORKER, 'worker', [origin(held, { webSocket: true })]))
    const connects = [
      { pid: WORKER, at: 'app.js:7:3', url: 'wss://api.example.com/feed', request: 'GET /orders', count: 5 },
    ]
    const finding = only(findingsOf(facts({ [WORKER]: held }, { members: tree, connects })))
    t.match(finding, {
      kind: 'connectInRequest',
      severity: 'problem',
      endpoint: 'api.example.com:443',
      count: 5,
    })
    t.match(finding.what, /while GET \/orders was answered, at app\.js:7:3/)
  },
)

t.test('a stale record is a note, and a problem where somebody waits', async (t) => {
  const record = {
    kind: 'lease',
    name: 'feed',
    pid: 77,
    file: '/run/leases/x/3.json',
    isWaitedFor: false,
  } as const
  matchEach(t, found(facts({}, { records: [record] })), ['staleRecord note 1 process 77 (gone)'])
  matchEach(t, found(facts({}, { records: [{ ...record, isWaitedFor: true }] })), [/^staleRecord problem/])
  t.match(only(findingsOf(facts({}, { records: [{ ...record, kind: 'run' }] }))).what, /was supervisor feed/)
})

t.test('a process that may not be read is a note, one that has just gone is none', async (t) => {
  const problem = (text: string) => {
    const seen = look({})
    const processes = seen.processes.map((each) => (each.pid === WORKER ? { ...each, problem: text } : each))
    return found(factsOf({ ...seen, processes }, members()))
  }
  t.match(problem('no permission to read its descriptors (EACCES)'), [/^unreadable note 1 worker 0/])
  t.same(problem('the process is gone'), [])
})

t.test(
  'what a fork showed is a note once it is not seen any more, and not told twice while it is',
  async (t) => {
    const held = connection(22)
    const tree = { [PRIMARY]: [held], [WORKER]: [held] }
    const now = only(findingsOf(facts(tree)))
    t.same(found(facts(tree, { forkFindings: [now] })), found(facts(tree)))
    const past = only(findingsOf(facts({}, { forkFindings: [now] })))
    t.match(past, { kind: 'sharedSocket', severity: 'note' })
    t.match(past.what, /not any more/)
  },
)

t.test('problems come before notes', async (t) => {
  const record = { kind: 'run', name: 'old', pid: 77, file: '/run/old.json', isWaitedFor: false } as const
  const held = connections(4)
  const tree = members(member(WORKER, 'worker', [origin(held)]))
  const all = facts(
    { [WORKER]: held, [SIBLING]: connections(1, { state: 'close-wait' }) },
    { members: tree, records: [record] },
  )
  t.same(
    findingsOf(all).map(({ severity }) => severity),
    ['problem', 'note', 'note'],
  )
})
