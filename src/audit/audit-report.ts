// What `supervisor audit --json` prints: a stable contract. Made from facts here, shown by src/cli/render/audit.ts.

import type { Finding } from '../shared/finding.js'
import type { AuditFacts, Role } from './audit-facts.js'
import type { Audited } from './audit-looks.js'
import { groupBy } from './audited-tree.js'
import { type SocketKind, type SocketState, showEndpoint } from './socket-table.js'
import { mapInSteps, type Steps } from './steps.js'
import { type Direction, isLive, type TreeSocket } from './tree-sockets.js'
import { growthOf, type Trend } from './trend.js'

export interface AuditReport {
  /** Of the supervisor; null for a tree without one. */
  name: string | null
  /** ms since 1970. */
  takenAt: number
  source: 'proc' | 'lsof'
  processes: AuditedProcess[]
  endpoints: EndpointRow[]
  findings: Finding[]
}

export interface AuditedProcess {
  pid: number
  ppid: number
  role: Role
  slot: number | null
  generation: number | null
  command: string
  /** Why its sockets could not be read, else null. */
  problem: string | null
  /** Whether it said where it opened its sockets: without that a guarded client cannot be told from another one. */
  hasOrigins: boolean
  groups: SocketGroup[]
  sockets: AuditedSocket[]
}

/** Sockets of one process that are alike. */
export interface SocketGroup {
  direction: Direction
  /** Where they go to, listen at, or came in at; unix: the path, or `unix`. */
  endpoint: string
  /** null: none, or not known. */
  client: { name: string; epoch: number } | null
  byState: Partial<Record<SocketState, number>>
  count: number
  /** Where they were opened, at most 3 places. */
  at: string[]
  oldestMs: number | null
  /** The lowest 3. */
  fds: number[]
}

export interface AuditedSocket {
  fd: number
  inode: number
  kind: SocketKind
  state: SocketState
  direction: Direction
  local: string | null
  remote: string | null
  path: string | null
  /** By the name that was dialled. */
  endpoint: string | null
  client: { name: string; epoch: number } | null
  at: string | null
  inRequest: string | null
  webSocket: boolean
  ageMs: number | null
}

/** Connections of the whole tree to one endpoint. */
export interface EndpointRow {
  endpoint: string
  addresses: string[]
  /** Open, or about to be. */
  live: number
  byState: Partial<Record<SocketState, number>>
  guarded: number
  unguarded: number
  /** Of processes that say nothing of their sockets. */
  unknown: number
  budget: number | null
  trend: { points: Trend; perHour: number | null } | null
}

const SHOWN = 3

export function* makeReport(name: string | null, { tree, findings }: Audited): Steps<AuditReport> {
  const { facts, sockets, trends } = tree
  const byPid = groupBy(sockets, ({ pid }) => String(pid))
  yield
  const processes: AuditedProcess[] = []
  for (const { pid, ppid, command, problem } of facts.look.processes) {
    const member = facts.members.get(pid)
    const own = byPid.get(String(pid)) ?? []
    processes.push({
      pid,
      ppid,
      role: member?.role ?? 'process',
      slot: member?.slot ?? null,
      generation: member?.generation ?? null,
      command,
      problem,
      hasOrigins: (member?.origins ?? null) !== null,
      groups: groupsOf(own),
      sockets: yield* mapInSteps(own, rowOf),
    })
    yield
  }
  const { takenAt, source } = facts.look
  return { name, takenAt, source, processes, endpoints: endpointsOf(sockets, trends, facts), findings }
}

const ORDER: readonly Direction[] = ['listening', 'outgoing', 'accepted', 'other']

const groupsOf = (sockets: readonly TreeSocket[]): SocketGroup[] =>
  [...groupBy(sockets, (each) => `${each.direction} ${placeOf(each)} ${clientKey(each)}`).values()]
    .flatMap((group): SocketGroup[] => {
      const [first] = group
      if (first === undefined) return []
      const ages = group.flatMap(({ ageMs }) => ageMs ?? [])
      return [
        {
          direction: first.direction,
          endpoint: placeOf(first),
          client: first.origin?.client ?? null,
          byState: countStates(group),
          count: group.length,
          at: [...new Set(group.flatMap(({ origin }) => origin?.at ?? []))].slice(0, SHOWN),
          oldestMs: ages.length === 0 ? null : ages.reduce((a, b) => Math.max(a, b)),
          fds: group
            .map(({ socket }) => socket.fd)
            .sort((a, b) => a - b)
            .slice(0, SHOWN),
        },
      ]
    })
    .sort((a, b) => ORDER.indexOf(a.direction) - ORDER.indexOf(b.direction) || b.count - a.count)

const placeOf = ({ direction, endpoint, socket }: TreeSocket): string => {
  if (endpoint !== null) return endpoint
  if (direction === 'listening')
    return socket.local === null ? (socket.path ?? '?') : showEndpoint(socket.local)
  if (direction === 'accepted') return socket.local === null ? '?' : showEndpoint(socket.local)
  return socket.kind
}

const clientKey = ({ origin }: TreeSocket): string =>
  origin === null ? '' : origin.client === null ? '-' : `${origin.client.name} ${origin.client.epoch}`

const countStates = (sockets: readonly TreeSocket[]): Partial<Record<SocketState, number>> => {
  const counts: Partial<Record<SocketState, number>> = {}
  for (const { socket } of sockets) counts[socket.state] = (counts[socket.state] ?? 0) + 1
  return counts
}

const rowOf = ({ socket, direction, endpoint, origin, ageMs }: TreeSocket): AuditedSocket => ({
  fd: socket.fd,
  inode: socket.inode,
  kind: socket.kind,
  state: socket.state,
  direction,
  local: socket.local === null ? null : showEndpoint(socket.local),
  remote: socket.remote === null ? null : showEndpoint(socket.remote),
  path: socket.path,
  endpoint,
  client: origin?.client ?? null,
  at: origin?.at ?? null,
  inRequest: origin?.inRequest ?? null,
  webSocket: origin?.webSocket ?? false,
  ageMs,
})

const endpointsOf = (
  sockets: readonly TreeSocket[],
  trends: ReadonlyMap<string, Trend>,
  { budgets, members }: AuditFacts,
): EndpointRow[] => {
  const outgoing = groupBy(
    sockets.filter(({ endpoint }) => endpoint !== null),
    ({ endpoint }) => endpoint ?? '',
  )
  for (const endpoint of Object.keys(budgets)) if (!outgoing.has(endpoint)) outgoing.set(endpoint, [])
  return [...outgoing]
    .map(([endpoint, all]): EndpointRow => {
      // A socket that two processes share is one connection.
      const own = [...new Map(all.map((each) => [each.socket.inode || each, each])).values()]
      const live = own.filter(({ socket }) => isLive(socket))
      const guarded = live.filter(({ origin }) => origin?.client != null).length
      const unknown = live.filter(({ pid }) => (members.get(pid)?.origins ?? null) === null).length
      const points = trends.get(endpoint)
      return {
        endpoint,
        addresses: [
          ...new Set(
            own.flatMap(({ socket }) => (socket.remote === null ? [] : [showEndpoint(socket.remote)])),
          ),
        ].slice(0, MOST_ADDRESSES),
        live: live.length,
        byState: countStates(own),
        guarded,
        unguarded: live.length - guarded - unknown,
        unknown,
        budget: budgets[endpoint] ?? null,
        trend: points === undefined ? null : { points, perHour: growthOf(points)?.perHour ?? null },
      }
    })
    .sort((a, b) => b.live - a.live)
}

const MOST_ADDRESSES = 20
