// The sockets of a look with what they are for the tree: listening, accepted or going out; to which endpoint by its name;
// opened where, and by which guarded client. Facts, no judgement: that is findings.ts.

import { isIP } from 'node:net'
import type { SocketOrigin } from '../shared/socket-origins.js'
import type { AuditFacts, Member } from './audit-facts.js'
import {
  type Endpoint,
  type HeldSocket,
  type Snapshot,
  type SocketRow,
  showEndpoint,
} from './socket-table.js'
import { mapInSteps, type Steps } from './steps.js'

/** `other`: it has no peer, or is no socket of a network. */
export type Direction = 'listening' | 'accepted' | 'outgoing' | 'other'

export interface TreeSocket {
  pid: number
  socket: HeldSocket
  direction: Direction
  /** Of what goes out the endpoint, by the name that was dialled where it is known; of the others null. */
  endpoint: string | null
  /** null: not known. */
  origin: SocketOrigin | null
  ageMs: number | null
}

/** Every socket of a look. */
export function* socketsOfTree(
  { look, members, listenedPorts }: AuditFacts,
  dialled: ReadonlyMap<string, string>,
): Steps<TreeSocket[]> {
  const ports = new Set([...listenedPorts, ...portsListenedOn(look)])
  const all: TreeSocket[][] = []
  for (const { pid, sockets } of look.processes) {
    const origins = originsByPort(members.get(pid))
    all.push(yield* mapInSteps(sockets, (socket) => judge(pid, socket, origins, ports, dialled)))
    yield
  }
  return all.flat()
}

const judge = (
  pid: number,
  socket: HeldSocket,
  origins: Map<string, Opened>,
  ports: ReadonlySet<number>,
  dialled: ReadonlyMap<string, string>,
): TreeSocket => {
  const opened = originOf(socket, origins)
  const isDialled = opened !== undefined && opened.origin.passed !== true
  const direction = directionOf(socket, isDialled, ports)
  const { remote } = socket
  return {
    pid,
    socket,
    direction,
    endpoint: direction === 'outgoing' && remote !== null ? nameOf(remote, opened?.origin, dialled) : null,
    origin: opened?.origin ?? null,
    ageMs: opened?.ageMs ?? null,
  }
}

export const portsListenedOn = ({ processes }: Snapshot): Set<number> =>
  new Set(
    processes.flatMap(({ sockets }) =>
      sockets.flatMap(({ kind, state, local }) =>
        kind === 'tcp' && state === 'listen' && local !== null ? [local.port] : [],
      ),
    ),
  )

/** Held though it is ended from here: the other side has not closed, and may never do. */
export const isEnding = ({ state }: SocketRow): boolean =>
  state === 'fin-wait-1' || state === 'fin-wait-2' || state === 'closing' || state === 'last-ack'

/** Connections that count: open, or about to be. */
export const isLive = ({ state }: SocketRow): boolean =>
  state === 'established' || state === 'syn-sent' || state === 'connected'

interface Opened {
  origin: SocketOrigin
  ageMs: number
}

const originsByPort = (member: Member | undefined): Map<string, Opened> => {
  const origins = new Map<string, Opened>()
  for (const origin of member?.origins ?? [])
    for (const { localPort, ageMs } of origin.open)
      origins.set(portsKey(localPort, origin.port), { origin, ageMs })
  return origins
}

const originOf = ({ kind, local, remote }: SocketRow, origins: Map<string, Opened>): Opened | undefined =>
  kind === 'tcp' && local !== null && remote !== null
    ? origins.get(portsKey(local.port, remote.port))
    : undefined

/** The port that was dialled counts too: a local one may be used twice at a time, and again at once. */
const portsKey = (local: number, remote: number): string => `${local} ${remote}`

/** Who says that it dialled it is believed; otherwise what comes in at a port of ours has been accepted. */
const directionOf = (
  { kind, state, local, remote }: SocketRow,
  isDialled: boolean,
  ports: ReadonlySet<number>,
): Direction => {
  if (state === 'listen') return 'listening'
  if ((kind !== 'tcp' && kind !== 'udp') || remote === null) return 'other'
  if (isDialled) return 'outgoing'
  return kind === 'tcp' && local !== null && ports.has(local.port) ? 'accepted' : 'outgoing'
}

/** What one worker dialled by name, another one may have reached by the same address. */
export function* namesDialled({ look, members, names: lookedUp }: AuditFacts): Steps<Map<string, string>> {
  const names = new Map(lookedUp)
  for (const { pid, sockets } of look.processes) {
    const origins = originsByPort(members.get(pid))
    yield
    if (origins.size === 0) continue
    yield* mapInSteps(sockets, (socket) => {
      const opened = originOf(socket, origins)
      if (opened === undefined || socket.remote === null) return
      const { host } = opened.origin
      if (host === null || isIP(host) !== 0) return
      names.set(showEndpoint(socket.remote), nameOf(socket.remote, opened.origin, lookedUp))
    })
  }
  return names
}

const nameOf = (
  remote: Endpoint,
  origin: SocketOrigin | undefined,
  names: ReadonlyMap<string, string>,
): string => {
  if (origin?.host != null && isIP(origin.host) === 0)
    return showEndpoint({ address: origin.host.toLowerCase(), port: remote.port })
  const shown = showEndpoint(remote)
  return names.get(shown) ?? shown
}

/** The same in few words: who it is. */
export const nameMember = (member: Member | undefined, command: string, pid: number): string => {
  switch (member?.role) {
    case 'primary':
      return `primary (pid ${pid})`
    case 'worker':
      return `worker ${member.slot} (pid ${pid}, generation ${member.generation})`
    default:
      return `process ${pid} (${shorten(command)})`
  }
}

const LONGEST_COMMAND = 60

const shorten = (command: string): string =>
  command.length <= LONGEST_COMMAND ? command : `${command.slice(0, LONGEST_COMMAND - 1)}…`

/** How many connections go out from these processes, by address: what a history keeps of a look. */
export const connectionsByAddress = (
  look: Snapshot,
  listenedPorts: ReadonlySet<number>,
): Map<string, number> => {
  const ports = new Set([...listenedPorts, ...portsListenedOn(look)])
  const counts = new Map<string, number>()
  const seen = new Set<number>()
  for (const { sockets } of look.processes)
    for (const socket of sockets) {
      if (socket.remote === null || seen.has(socket.inode)) continue
      if (directionOf(socket, false, ports) !== 'outgoing') continue
      if (!isLive(socket) && !isEnding(socket) && socket.state !== 'close-wait') continue
      seen.add(socket.inode)
      const address = showEndpoint(socket.remote)
      counts.set(address, (counts.get(address) ?? 0) + 1)
    }
  return counts
}
