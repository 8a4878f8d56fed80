// What the kinds of findings (findings/) are given: the facts, the sockets with what they are, and the words for processes.

import type { AuditFacts, Role } from './audit-facts.js'
import type { HeldSocket } from './socket-table.js'
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
  /** Whether the process still had that socket in that state in the second look. */
  isStill(pid: number, socket: HeldSocket): boolean
}

export const auditedTree = (facts: AuditFacts): AuditedTree => {
  const commands = new Map(facts.look.processes.map(({ pid, command }) => [pid, command]))
  const later = new Set(
    facts.later.processes.flatMap(({ pid, sockets }) => sockets.map((socket) => key(pid, socket))),
  )
  const names = namesDialled(facts)
  return {
    facts,
    sockets: socketsOfTree(facts, names),
    names,
    trends: nameTrends(facts.trends, names),
    who: (pid) => nameMember(facts.members.get(pid), commands.get(pid) ?? 'gone', pid),
    role: (pid) => facts.members.get(pid)?.role ?? 'process',
    isStill: (pid, socket) => later.has(key(pid, socket)),
  }
}

const key = (pid: number, { inode, state, fd }: HeldSocket): string => `${pid} ${inode} ${state} ${fd}`

export const groupBy = <Value>(
  values: Iterable<Value>,
  keyOf: (value: Value) => string,
): Map<string, Value[]> => {
  const groups: Map<string, Value[]> = new Map()
  for (const value of values) {
    const group = groups.get(keyOf(value))
    if (group === undefined) groups.set(keyOf(value), [value])
    else group.push(value)
  }
  return groups
}

/** `1 connection`, `2 connections` */
export const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
