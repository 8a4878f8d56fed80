// What the kinds of findings (findings/) are given: the facts, the sockets with what they are, and the words for processes.

import type { AuditFacts, Role } from './audit-facts.js'
import type { HeldSocket, Snapshot } from './socket-table.js'
import type { Steps } from './steps.js'
import { nameMember, namesDialled, socketsOfTree, type TreeSocket } from './tree-sockets.js'
import { nameTrends, type Trend } from './trend.js'

export interface AuditedTree {
  facts: AuditFacts
  sockets: readonly TreeSocket[]
  /** `93.184.216.34:443` -> `api.example.com:443`, for what was looked up or dialled. */
  names: ReadonlyMap<string, string>
  /** By the names. */
  trends: ReadonlyMap<string, Trend>
  /** `worker 1 (pid 123, generation 2)` */
  who(pid: number): string
  role(pid: number): Role
  /** Whether the process still had that socket in that state in the second look; true where there was none. */
  isStill(pid: number, socket: HeldSocket): boolean
}

export function* auditedTree(facts: AuditFacts): Steps<AuditedTree> {
  const commands = new Map(facts.look.processes.map(({ pid, command }) => [pid, command]))
  const names = yield* namesDialled(facts)
  const sockets = yield* socketsOfTree(facts, names)
  return {
    facts,
    sockets,
    names,
    trends: nameTrends(facts.trends, names),
    who: (pid) => nameMember(facts.members.get(pid), commands.get(pid) ?? 'gone', pid),
    role: (pid) => facts.members.get(pid)?.role ?? 'process',
    isStill: () => true,
  }
}

/** The same tree, with what a second look has seen. */
export function* seenAgain(tree: AuditedTree, later: Snapshot): Steps<AuditedTree> {
  const byPid = new Map<number, Map<number, HeldSocket>>()
  for (const { pid, sockets } of later.processes) {
    byPid.set(pid, new Map(sockets.map((socket) => [socket.fd, socket])))
    yield
  }
  return {
    ...tree,
    isStill: (pid, { fd, inode, state }) => {
      const now = byPid.get(pid)?.get(fd)
      return now?.inode === inode && now.state === state
    },
  }
}

export const groupBy = <Value>(
  values: Iterable<Value>,
  keyOf: (value: Value) => string,
): Map<string, Value[]> => {
  const groups: Map<string, Value[]> = new Map()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}

/** `1 connection`, `2 connections` */
export const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
