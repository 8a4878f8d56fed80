// The diff after a fork: which sockets two processes of the tree hold that should have one owner, and which connection the
// primary held while it forked. Pure: tables in, findings out. It looks at nothing itself; who does, and what follows
// from a finding: src/primary/fork-audit-desk.ts. The whole audit, of everything at any time: src/audit.
//
// Shared by design are: stdio; what listens, and UDP sockets that are bound (node:cluster hands them out, and so may an
// app); connections that came in on a listener of the primary, which the round robin hands over while it still has them.

import {
  type HeldSocket,
  LAST_STDIO,
  type ProcessSockets,
  type SocketRow,
  showEndpoint,
} from '../audit/socket-table.js'
import type { Finding } from '../shared/finding.js'

/** fd of each socket by inode, as src/audit/socket-inodes.ts reads it. */
export type SocketInodes = ReadonlyMap<number, number>

export interface AuditedWorker {
  id: number
  slot: number
  pid: number
  generation: number
}

export interface ForkEvidence {
  primary: number
  workers: readonly AuditedWorker[]
  /** Whose fork, or readiness, is the reason to look. */
  under: ReadonlySet<number>
  /** What several hold, as {@link sharedInodes} found it. */
  shared: ReadonlySet<number>
  /** What the primary held while these workers were forked. */
  atFork: readonly { inodes: SocketInodes; ids: readonly number[] }[]
  /** Of the primary, and of everybody who holds what is shared; taken after the inodes. */
  processes: readonly ProcessSockets[]
  /** Ports and paths on which the primary listens or has listened. */
  listening: ReadonlySet<number | string>
  /** Whether a descriptor of the primary is inherited by everything it starts: Node opens none like that. */
  isInherited: (fd: number) => boolean
}

export interface ForkFinding {
  /** The same cause has the same key, whichever pids it shows up in. */
  key: string
  finding: Finding
  /** Workers under audit that it concerns. */
  ids: number[]
}

/** A look-up of c-ares is a connected UDP socket of the resolver, for as long as the answer takes. */
const DNS_PORT = 53

/** Inodes that several of these hold, stdio left out: what stands at 0 to 2 is inherited on purpose. */
export const sharedInodes = (processes: readonly SocketInodes[]): Set<number> => {
  const seen = new Set<number>()
  const shared = new Set<number>()
  for (const inodes of processes)
    for (const inode of inodes.keys()) {
      if (seen.has(inode)) shared.add(inode)
      seen.add(inode)
    }
  for (const inodes of processes) for (const [inode, fd] of inodes) if (fd <= LAST_STDIO) shared.delete(inode)
  return shared
}

/** What a process listens on: ports, and paths of unix sockets. */
export const listeningOn = ({ sockets }: ProcessSockets): (number | string)[] =>
  sockets
    .filter(({ state }) => state === 'listen')
    .flatMap(({ local, path }) => [...(local === null ? [] : [local.port]), ...(path === null ? [] : [path])])

export const forkFindings = (evidence: ForkEvidence): ForkFinding[] => {
  const found = [...sharedSockets(evidence), ...connectionsInPrimary(evidence)]
  const byKey = new Map<string, ForkFinding>()
  for (const one of found) {
    const known = byKey.get(one.key)
    if (known === undefined) byKey.set(one.key, one)
    else {
      known.finding.count += one.finding.count
      known.ids = [...new Set([...known.ids, ...one.ids])]
    }
  }
  return [...byKey.values()]
}

interface Holder {
  pid: number
  socket: HeldSocket
}

function* sharedSockets(evidence: ForkEvidence): Generator<ForkFinding> {
  const { primary, shared } = evidence
  for (const [inode, holders] of holdersOf(evidence)) {
    const [first] = holders
    // One alone: it was on its way from one process to the other, and has arrived.
    if (first === undefined || !shared.has(inode) || holders.length < 2) continue
    const own = holders.find(({ pid }) => pid === primary)
    if (own !== undefined && evidence.isInherited(own.socket.fd)) yield* fromLauncher(evidence, own, holders)
    else if (!isSharedByDesign(first.socket, own !== undefined, evidence.listening))
      yield sharedByAccident(evidence, holders)
  }
}

/** Each holder once, with a socket's lowest descriptor. */
const holdersOf = ({ processes }: ForkEvidence): Map<number, Holder[]> => {
  const holders = new Map<number, Holder[]>()
  for (const { pid, sockets } of processes)
    for (const socket of sockets) {
      const others = holders.get(socket.inode) ?? []
      if (others.some((other) => other.pid === pid)) continue
      holders.set(socket.inode, [...others, { pid, socket }])
    }
  return holders
}

const isSharedByDesign = (
  row: SocketRow,
  isPrimarys: boolean,
  listening: ReadonlySet<number | string>,
): boolean => {
  if (row.kind === 'udp') return row.state !== 'connected' && isPrimarys
  return !isConnected(row) || isAccepted(row, listening)
}

/** A socket in no state at all can break nothing yet. */
const isConnected = ({ kind, state }: SocketRow): boolean => {
  if (kind === 'udp') return state === 'connected'
  if (kind === 'unix') return state === 'established'
  return kind === 'tcp' && state !== 'listen' && state !== 'close' && state !== 'time-wait'
}

const isAccepted = ({ local, path }: SocketRow, listening: ReadonlySet<number | string>): boolean =>
  (local !== null && listening.has(local.port)) || (path !== null && listening.has(path))

/** A unix socket may be anything of the session that started us; a connection over the network is somebody's session. */
function* fromLauncher(
  { primary, workers, under }: ForkEvidence,
  { socket }: Holder,
  holders: readonly Holder[],
): Generator<ForkFinding> {
  const { fd, state } = socket
  if (!isConnected(socket) && state !== 'listen') return
  const isProblem = isConnected(socket) && socket.kind !== 'unix'
  const endpoint = endpointOf(socket)
  yield {
    key: `launcher ${fd} ${endpoint}`,
    finding: {
      kind: 'sharedSocket',
      severity: isProblem ? 'problem' : 'note',
      who: `primary (pid ${primary})`,
      pid: primary,
      endpoint,
      what: `was started with a ${nameOf(socket)} at descriptor ${fd}, and every worker inherits it`,
      todo: closeBeforeStart(fd),
      count: 1,
    },
    ids: isProblem ? idsOf(holders, workers, under) : [],
  }
}

export const closeBeforeStart = (fd: number): string =>
  `close it before the start: exec ${fd}>&- in a shell, close-on-exec elsewhere`

const sharedByAccident = (
  { primary, workers, under }: ForkEvidence,
  holders: readonly Holder[],
): ForkFinding => {
  const named = holders
    .map((holder) => ({ ...holder, worker: workers.find(({ pid }) => pid === holder.pid) }))
    // The newest worker first, the primary last.
    .sort((one, other) => (other.worker?.id ?? 0) - (one.worker?.id ?? 0))
  const names = named.map(({ worker }) =>
    worker === undefined ? `primary (pid ${primary})` : nameWorker(worker),
  )
  const [who = '', ...others] = names
  const socket = named[0]?.socket
  const endpoint = socket === undefined ? null : endpointOf(socket)
  const slots = named.map(({ worker }) => worker?.slot ?? 'primary').sort()
  return {
    key: `shared ${slots} ${endpoint}`,
    finding: {
      kind: 'sharedSocket',
      severity: 'problem',
      who,
      pid: named[0]?.pid ?? null,
      endpoint,
      what: `shares a ${socket === undefined ? 'socket' : nameOf(socket)} with ${others.join(' and ')}`,
      todo: 'send messages, not the socket (with keepOpen both keep it); let each process open its own, or share one guardedClient() with exclusive',
      count: 1,
    },
    ids: idsOf(holders, workers, under),
  }
}

function* connectionsInPrimary({
  primary,
  processes,
  atFork,
  listening,
  isInherited,
}: ForkEvidence): Generator<ForkFinding> {
  const sockets = processes.find(({ pid }) => pid === primary)?.sockets ?? []
  const seen = new Set<number>()
  for (const socket of sockets) {
    const windows = atFork.filter(({ inodes }) => inodes.has(socket.inode))
    if (windows.length === 0 || seen.has(socket.inode)) continue
    seen.add(socket.inode)
    if (socket.fd <= LAST_STDIO || !isUpstream(socket) || isAccepted(socket, listening)) continue
    // What the launcher left is a finding of its own.
    if (isInherited(socket.fd)) continue
    const endpoint = endpointOf(socket)
    yield {
      key: `primary ${endpoint}`,
      finding: {
        kind: 'connectionInPrimary',
        severity: 'problem',
        who: `primary (pid ${primary})`,
        pid: primary,
        endpoint,
        what: `held a ${nameOf(socket)} while it forked`,
        todo: 'open it in the workers, or here by guardedClient() or protect(), which close it before a fork and open it again',
        count: 1,
      },
      ids: windows.flatMap(({ ids }) => ids),
    }
  }
}

/** Unix sockets of a primary are its control socket and the channels and output of its workers. */
const isUpstream = (socket: SocketRow): boolean =>
  socket.kind !== 'unix' &&
  isConnected(socket) &&
  !(socket.kind === 'udp' && socket.remote?.port === DNS_PORT)

const idsOf = (
  holders: readonly Holder[],
  workers: readonly AuditedWorker[],
  under: ReadonlySet<number>,
): number[] =>
  workers
    .filter(({ id, pid }) => under.has(id) && holders.some((holder) => holder.pid === pid))
    .map(({ id }) => id)

const nameWorker = ({ slot, pid, generation }: AuditedWorker): string =>
  `worker ${slot} (pid ${pid}, generation ${generation})`

const endpointOf = ({ kind, local, remote, path }: SocketRow): string | null => {
  if (kind === 'unix') return path
  const endpoint = remote ?? local
  return endpoint === null ? null : showEndpoint(endpoint)
}

/** `connection to 10.0.0.1:443`, `listening socket 0.0.0.0:80`. */
const nameOf = (socket: SocketRow): string => {
  const endpoint = endpointOf(socket)
  const what = socket.kind === 'udp' ? 'UDP ' : ''
  if (socket.state === 'listen') return `listening socket ${endpoint ?? 'without a name'}`
  if (socket.kind === 'unix') return `connected unix socket${endpoint === null ? '' : ` of ${endpoint}`}`
  return socket.remote === null
    ? `${what}socket ${endpoint ?? ''}`.trim()
    : `${what}connection to ${endpoint}`
}
