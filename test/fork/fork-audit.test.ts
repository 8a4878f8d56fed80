// The diff after a fork on tables written by hand; the same with real processes is in test/process/fork-audit.test.ts.

import t from 'tap'
import type { HeldSocket, ProcessSockets } from '../../src/audit/socket-table.js'
import { type ForkEvidence, forkFindings, listeningOn, sharedInodes } from '../../src/fork/fork-audit.js'

const PRIMARY = 100
const WORKERS = [
  { id: 1, slot: 0, pid: 101, generation: 1 },
  { id: 2, slot: 1, pid: 102, generation: 1 },
]

const held = (fd: number, inode: number, more: Partial<HeldSocket> = {}): HeldSocket => ({
  fd,
  inode,
  kind: 'tcp',
  state: 'established',
  local: { address: '10.0.0.1', port: 50_000 + inode },
  remote: { address: '10.0.0.9', port: 443 },
  path: null,
  ...more,
})
const listener = (fd: number, inode: number, port: number): HeldSocket =>
  held(fd, inode, { state: 'listen', local: { address: '0.0.0.0', port }, remote: null })
const unix = (fd: number, inode: number, path: string | null = null): HeldSocket =>
  held(fd, inode, { kind: 'unix', local: null, remote: null, path })
const udp = (fd: number, inode: number, remote: HeldSocket['remote'] = null): HeldSocket =>
  held(fd, inode, { kind: 'udp', state: remote === null ? 'bound' : 'connected', remote })

type Tables = Record<number, HeldSocket[]>

const inodesOf = (sockets: readonly HeldSocket[]): Map<number, number> =>
  new Map(sockets.map(({ inode, fd }) => [inode, fd]))

/** Everybody's sockets, all of the primary's at the fork too, and both workers under audit, unless said otherwise. */
const find = (tables: Tables, more: Partial<ForkEvidence> & { before?: Tables } = {}) => {
  const { before = tables, ...rest } = more
  const processes = Object.entries(tables).map(
    ([pid, sockets]): ProcessSockets => ({
      pid: Number(pid),
      startTime: 1,
      ppid: 1,
      command: 'node',
      sockets,
      problem: null,
    }),
  )
  const own = processes.find(({ pid }) => pid === PRIMARY)
  return forkFindings({
    primary: PRIMARY,
    workers: WORKERS,
    under: new Set([1, 2]),
    shared: sharedInodes(Object.values(before).map(inodesOf)),
    atFork: [{ inodes: inodesOf(before[PRIMARY] ?? []), ids: [1, 2] }],
    processes,
    listening: new Set(own === undefined ? [] : listeningOn(own)),
    isInherited: () => false,
    ...rest,
  })
}

t.test('a connection of the primary at the fork', async (t) => {
  const [found] = find({ [PRIMARY]: [held(20, 1), held(21, 2)] })
  t.match(found, {
    ids: [1, 2],
    finding: {
      kind: 'connectionInPrimary',
      severity: 'problem',
      who: 'primary (pid 100)',
      pid: 100,
      endpoint: '10.0.0.9:443',
      what: 'held a connection to 10.0.0.9:443 while it forked',
      count: 2,
    },
  })
})

t.test('one that was opened after the fork, or is gone, or is no upstream, is none', async (t) => {
  const cases: [string, Tables, Tables?][] = [
    ['opened after it', { [PRIMARY]: [held(20, 1)] }, { [PRIMARY]: [] }],
    ['closed since', { [PRIMARY]: [] }, { [PRIMARY]: [held(20, 1)] }],
    ['stdio', { [PRIMARY]: [held(1, 1)] }],
    ['closed, not yet put away', { [PRIMARY]: [held(20, 1, { state: 'close' })] }],
    ['its control socket and channels', { [PRIMARY]: [unix(20, 1), unix(21, 2, '/run/a.sock')] }],
    ['a look-up', { [PRIMARY]: [udp(20, 1, { address: '10.0.0.2', port: 53 })] }],
    ['a bound UDP socket', { [PRIMARY]: [udp(20, 1)] }],
    [
      'what came in on a listener',
      { [PRIMARY]: [listener(20, 1, 80), held(21, 2, { local: { address: '10.0.0.1', port: 80 } })] },
    ],
  ]
  for (const [name, tables, before] of cases)
    t.same(find(tables, before === undefined ? {} : { before }), [], name)
})

t.test('a UDP connection of the primary, on IPv6', async (t) => {
  const [found] = find({ [PRIMARY]: [udp(20, 1, { address: '::1', port: 8125 })] })
  t.equal(found?.finding.what, 'held a UDP connection to [::1]:8125 while it forked')
})

t.test('a connection that a worker and its primary hold', async (t) => {
  const found = find({ [PRIMARY]: [held(30, 7)], 101: [held(22, 7)], 102: [] }, { atFork: [] })
  t.equal(found.length, 1)
  t.match(found[0], {
    ids: [1],
    finding: {
      kind: 'sharedSocket',
      who: 'worker 0 (pid 101, generation 1)',
      pid: 101,
      what: 'shares a connection to 10.0.0.9:443 with primary (pid 100)',
    },
  })
})

t.test('one that two workers hold concerns the one that is under audit', async (t) => {
  const tables = { [PRIMARY]: [], 101: [held(22, 7)], 102: [held(22, 7)] }
  const [found] = find(tables, { under: new Set([2]) })
  t.same(found?.ids, [2])
  t.equal(found?.finding.who, 'worker 1 (pid 102, generation 1)')
  t.equal(found?.finding.what, 'shares a connection to 10.0.0.9:443 with worker 0 (pid 101, generation 1)')
})

t.test('a UDP socket that was connected after it had been bound in all workers', async (t) => {
  const socket = (fd: number) => udp(fd, 7, { address: '10.0.0.9', port: 9 })
  const found = find({ [PRIMARY]: [socket(20)], 101: [socket(21)] }, { atFork: [] })
  t.match(found, [{ finding: { kind: 'sharedSocket', endpoint: '10.0.0.9:9' } }])
})

t.test('what is shared by design, or only on its way, is none', async (t) => {
  const accepted = (fd: number) => held(fd, 7, { local: { address: '10.0.0.1', port: 80 } })
  const cases: [string, Tables, Tables?][] = [
    ['a listener', { [PRIMARY]: [listener(20, 7, 80)], 101: [listener(21, 7, 80)] }],
    ['a bound UDP socket', { [PRIMARY]: [udp(20, 7)], 101: [udp(21, 7)], 102: [udp(21, 7)] }],
    ['stdio of one', { [PRIMARY]: [unix(2, 7)], 101: [unix(21, 7)] }],
    [
      'handed over by the round robin',
      { [PRIMARY]: [listener(19, 1, 80), accepted(20)], 101: [accepted(21)] },
    ],
    [
      'handed over on a path',
      {
        [PRIMARY]: [{ ...unix(19, 1, '/run/app.sock'), state: 'listen' }, unix(20, 7, '/run/app.sock')],
        101: [unix(21, 7, '/run/app.sock')],
      },
    ],
    [
      'arrived by now',
      { [PRIMARY]: [], 101: [held(21, 7)] },
      { [PRIMARY]: [held(20, 7)], 101: [held(21, 7)] },
    ],
    ['in no state', { [PRIMARY]: [held(20, 7, { state: 'close' })], 101: [held(21, 7, { state: 'close' })] }],
  ]
  for (const [name, tables, before] of cases)
    t.same(find(tables, { atFork: [], ...(before === undefined ? {} : { before }) }), [], name)
})

t.test('what the launcher left open is one finding, whoever has inherited it', async (t) => {
  const tables = { [PRIMARY]: [held(40, 7)], 101: [held(40, 7)], 102: [held(40, 7)] }
  const found = find(tables, { isInherited: (fd) => fd === 40 })
  t.equal(found.length, 1)
  t.match(found[0], {
    ids: [1, 2],
    finding: {
      kind: 'sharedSocket',
      severity: 'problem',
      who: 'primary (pid 100)',
      what: 'was started with a connection to 10.0.0.9:443 at descriptor 40, and every worker inherits it',
      todo: /exec 40>&-/,
    },
  })
  const note = find(
    { [PRIMARY]: [listener(40, 7, 80)], 101: [listener(40, 7, 80)] },
    { isInherited: (fd) => fd === 40 },
  )
  t.match(note, [
    { ids: [], finding: { severity: 'note', what: /listening socket 0\.0\.0\.0:80 at descriptor 40/ } },
  ])
})

t.test('the same cause has the same key in other processes', async (t) => {
  const key = (pid: number) =>
    find(
      { [PRIMARY]: [held(30, 7)], [pid]: [held(22, 7)] },
      { atFork: [], workers: [{ id: pid, slot: 0, pid, generation: pid }] },
    )[0]?.key
  t.equal(key(101), key(201))
  t.not(key(101), undefined)
})
