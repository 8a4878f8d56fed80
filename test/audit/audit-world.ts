// Looks at a tree that nobody has to start: a primary, two workers, and the sockets that a test gives them.

import { type AuditFacts, factsOf, type Member, type Role } from '../../src/audit/audit-facts.js'
import { type AuditReport, makeReport } from '../../src/audit/audit-report.js'
import { auditedTree, seenAgain } from '../../src/audit/audited-tree.js'
import { findingsIn } from '../../src/audit/findings.js'
import type {
  Endpoint,
  HeldSocket,
  ProcessSockets,
  Snapshot,
  SocketRow,
  SocketState,
} from '../../src/audit/socket-table.js'
import { atOnce } from '../../src/audit/steps.js'
import type { Finding } from '../../src/shared/finding.js'
import type { SocketOrigin, SocketOrigins } from '../../src/shared/socket-origins.js'

export const PRIMARY = 9
export const WORKER = 100
export const SIBLING = 101
export const UPSTREAM: Endpoint = { address: '10.0.0.7', port: 443 }

let lastInode = 1_000

/** A connection to `remote` from a local port. */
export const connection = (fd: number, over: Partial<HeldSocket> = {}): HeldSocket => ({
  fd,
  inode: ++lastInode,
  kind: 'tcp',
  state: 'established',
  local: { address: '10.0.0.1', port: 40_000 + fd },
  remote: UPSTREAM,
  path: null,
  ...over,
})

export const connections = (count: number, over: Partial<HeldSocket> = {}): HeldSocket[] =>
  Array.from({ length: count }, (_, at) => connection(20 + at, over))

export const listener = (fd: number, port: number, over: Partial<HeldSocket> = {}): HeldSocket =>
  connection(fd, { state: 'listen', local: { address: '0.0.0.0', port }, remote: null, ...over })

/** A connection that came in at `port`. */
export const accepted = (fd: number, port: number, over: Partial<HeldSocket> = {}): HeldSocket =>
  connection(fd, {
    local: { address: '10.0.0.1', port },
    remote: { address: '10.9.9.9', port: 50_000 + fd },
    ...over,
  })

export const unixSocket = (fd: number, over: Partial<HeldSocket> = {}): HeldSocket =>
  connection(fd, { kind: 'unix', local: null, remote: null, ...over })

export const unowned = (count: number, state: SocketState, over: Partial<SocketRow> = {}): SocketRow[] =>
  Array.from({ length: count }, (_, at) => ({
    inode: 0,
    kind: 'tcp' as const,
    state,
    local: { address: '10.0.0.1', port: 30_000 + at },
    remote: UPSTREAM,
    path: null,
    ...over,
  }))

const processOf = (
  pid: number,
  sockets: HeldSocket[],
  over: Partial<ProcessSockets> = {},
): ProcessSockets => ({
  pid,
  startTime: 5,
  ppid: pid === PRIMARY ? 1 : PRIMARY,
  command: `node ${pid}.js`,
  sockets,
  problem: null,
  ...over,
})

export const look = (
  sockets: Readonly<Record<number, HeldSocket[]>>,
  over: Partial<Snapshot> = {},
): Snapshot => ({
  takenAt: 1_000,
  source: 'proc',
  processes: [PRIMARY, WORKER, SIBLING, ...Object.keys(sockets).map(Number)]
    .filter((pid, at, all) => all.indexOf(pid) === at)
    .map((pid) => processOf(pid, sockets[pid] ?? [])),
  unowned: [],
  ...over,
})

export const member = (pid: number, role: Role, origins: SocketOrigins | null = []): [number, Member] => [
  pid,
  {
    pid,
    role,
    slot: role === 'worker' ? pid - WORKER : null,
    generation: role === 'worker' ? 2 : null,
    origins,
  },
]

/** The primary and two workers that know nothing of what they opened, but would say so. */
export const members = (...more: [number, Member][]): Map<number, Member> =>
  new Map([member(PRIMARY, 'primary', null), member(WORKER, 'worker'), member(SIBLING, 'worker'), ...more])

/** What a worker says of sockets that it holds. */
export const origin = (held: readonly HeldSocket[], over: Partial<SocketOrigin> = {}): SocketOrigin => ({
  host: 'api.example.com',
  port: UPSTREAM.port,
  at: 'app/feed.js:12:5',
  via: null,
  webSocket: false,
  client: null,
  inRequest: null,
  opened: held.length,
  closed: 0,
  open: held.map(({ local }) => ({ localPort: local?.port ?? 0, ageMs: 5_000 })),
  ...over,
})

export const facts = (
  sockets: Readonly<Record<number, HeldSocket[]>>,
  over: Partial<AuditFacts> = {},
): AuditFacts => factsOf(look(sockets), members(), over)

export const findingsOf = (all: AuditFacts, later: Snapshot | null = null): Finding[] => {
  const tree = atOnce(auditedTree(all))
  return atOnce(findingsIn(later === null ? tree : atOnce(seenAgain(tree, later))))
}

export const reportOf = (all: AuditFacts): AuditReport => {
  const tree = atOnce(auditedTree(all))
  return atOnce(makeReport('api', { tree, findings: atOnce(findingsIn(tree)) }))
}

/** `kind severity count who` */
export const found = (all: AuditFacts, later: Snapshot | null = null): string[] =>
  findingsOf(all, later).map(
    ({ kind, severity, count, who }: Finding) => `${kind} ${severity} ${count} ${who}`,
  )
