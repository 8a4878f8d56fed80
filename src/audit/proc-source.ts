// Sockets from /proc (Linux): the descriptors of each process, joined with the tables of its network namespace, each of
// which is read once. Nothing here throws because a process has gone or may not be read: that is told with the process.
// What the lines of the tables mean: proc-rows.ts.

import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { printable } from '../shared/printable.js'
import { isOver, parseProcessStat } from '../shared/process-identity.js'
import { settledWithin } from '../shared/settled-within.js'
import { type IsWanted, otherRow, parseInetRow, parseUnixRow } from './proc-rows.js'
import { GONE, whyUnreadable } from './process-problem.js'
import { Slices } from './slices.js'
import { readSocketDescriptors, type SocketDescriptor, socketInodeAt } from './socket-inodes.js'
import type { ProcessSockets, Snapshot, SocketRow } from './socket-table.js'

export interface ProcOptions {
  signal?: AbortSignal | undefined
  /** Put before /proc, for tests. */
  root?: string
}

/** What is known of a process before the tables have been read. */
interface Found {
  folder: string
  row: ProcessSockets
  /** Name of its network namespace; null where there is a problem. */
  namespace: string | null
  descriptors: readonly SocketDescriptor[]
}

/** ms. A command line is in the memory of the process, and reading it may wait for that for ever: then its name will do. */
const COMMAND_PATIENCE = 250
const MOST_COMMAND_CHARACTERS = 200
const READ_BYTES = 64 * 1024

/** @throws the reason of `signal`, and nothing else. */
export const readFromProc = async (
  pids: readonly number[],
  { signal, root = '' }: ProcOptions = {},
): Promise<Snapshot> => {
  const takenAt = Date.now()
  const slices = new Slices(signal)
  const found: Found[] = []
  for (const pid of pids) found.push(await findSockets(`${root}/proc/${pid}`, pid, slices))

  const unowned: SocketRow[] = []
  for (const members of groupByNamespace(found)) {
    const tables = await readTables(members, slices)
    unowned.push(...tables.unowned)
    for (const { folder, row, descriptors } of members) {
      row.sockets = await describe(folder, descriptors, tables.rows, slices)
    }
  }
  return { takenAt, source: 'proc', processes: found.map(({ row }) => row), unowned }
}

const findSockets = async (folder: string, pid: number, slices: Slices): Promise<Found> => {
  const stat = statIn(folder)
  const row: ProcessSockets = {
    pid,
    startTime: stat?.startTime ?? null,
    ppid: stat?.ppid ?? 0,
    command: stat === null ? '' : await commandIn(folder, stat.name),
    sockets: [],
    problem: null,
  }
  const failed = (problem: string): Found => ({
    folder,
    row: { ...row, problem },
    namespace: null,
    descriptors: [],
  })
  try {
    const namespace = readlinkSync(`${folder}/ns/net`)
    const descriptors = await readSocketDescriptors(`${folder}/fd`, slices)
    // The listing of a process that ends meanwhile just ends too, and its pid may be another's by now.
    const after = statIn(folder)
    if (after === null || isOver(after) || after.startTime !== row.startTime) return failed(GONE)
    return { folder, row, namespace, descriptors: descriptors.sort((one, other) => one.fd - other.fd) }
  } catch (error) {
    slices.throwIfAborted()
    return failed(stat === null || isOver(stat) ? GONE : whyUnreadable(error))
  }
}

const groupByNamespace = (found: readonly Found[]): Found[][] => {
  const groups = new Map<string, Found[]>()
  for (const one of found) {
    if (one.namespace === null) continue
    const group = groups.get(one.namespace)
    if (group === undefined) groups.set(one.namespace, [one])
    else group.push(one)
  }
  return [...groups.values()]
}

interface Tables {
  rows: Map<number, SocketRow>
  unowned: SocketRow[]
}

/** The tables of one namespace, asked of its first member that lives until they are read. */
const readTables = async (members: readonly Found[], slices: Slices): Promise<Tables> => {
  const inodes = new Set(members.flatMap(({ descriptors }) => descriptors.map(({ inode }) => inode)))
  let tables: Tables = { rows: new Map(), unowned: [] }
  for (const { folder, namespace } of members) {
    tables = await readTablesOf(folder, inodes, slices)
    if (linkOf(`${folder}/ns/net`) === namespace) break
  }
  return tables
}

const readTablesOf = async (folder: string, inodes: ReadonlySet<number>, slices: Slices): Promise<Tables> => {
  const rows = new Map<number, SocketRow>()
  const unowned: SocketRow[] = []
  const isHeld: IsWanted = (inode) => inodes.has(inode)
  const isHeldOrNobodys: IsWanted = (inode) => inode === 0 || inodes.has(inode)
  const keep = (row: SocketRow | null): void => {
    if (row === null) return
    if (row.inode === 0) unowned.push(row)
    else rows.set(row.inode, row)
  }
  const tables: [name: string, parse: (line: string) => SocketRow | null][] = [
    ['tcp', (line) => parseInetRow(line, 'tcp', isHeldOrNobodys)],
    ['tcp6', (line) => parseInetRow(line, 'tcp', isHeldOrNobodys)],
    ['udp', (line) => parseInetRow(line, 'udp', isHeld)],
    ['udp6', (line) => parseInetRow(line, 'udp', isHeld)],
    ['unix', (line) => parseUnixRow(line, isHeld)],
  ]
  for (const [name, parse] of tables) {
    await readLines(`${folder}/net/${name}`, slices, (line) => keep(parse(line)))
  }
  return { rows, unowned }
}

/**
 * Each descriptor with what the tables say of it. A socket that no table has is looked at again: it may have been closed
 * since it was listed.
 */
const describe = async (
  folder: string,
  descriptors: readonly SocketDescriptor[],
  rows: ReadonlyMap<number, SocketRow>,
  slices: Slices,
): Promise<ProcessSockets['sockets']> => {
  const sockets: ProcessSockets['sockets'] = []
  for (const { fd, inode } of descriptors) {
    const row = rows.get(inode)
    if (row !== undefined) sockets.push({ ...row, fd })
    else if (socketInodeAt(`${folder}/fd/${fd}`) === inode) sockets.push({ ...otherRow(inode), fd })
    if (slices.isOver) await slices.next()
  }
  return sockets
}

/** Reads as far as it can: a table may be missing (no IPv6), and ends when the process does. A character is a byte. */
const readLines = async (path: string, slices: Slices, onLine: (line: string) => void): Promise<void> => {
  let file: number | null = null
  let rest = ''
  try {
    file = openSync(path, 'r')
    const bytes = Buffer.allocUnsafe(READ_BYTES)
    for (let length = readSync(file, bytes); length > 0; length = readSync(file, bytes)) {
      const lines = (rest + bytes.toString('latin1', 0, length)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
      if (slices.isOver) await slices.next()
    }
  } catch {
    slices.throwIfAborted()
  } finally {
    if (file !== null) closeSync(file)
  }
}

const statIn = (folder: string) => {
  try {
    return parseProcessStat(readFileSync(`${folder}/stat`, 'latin1'))
  } catch {
    return null
  }
}

const commandIn = async (folder: string, name: string): Promise<string> => {
  let text = ''
  const reading = readFile(`${folder}/cmdline`, 'utf8').then((read) => {
    text = read.replace(/\0+$/, '').replaceAll('\0', ' ')
  })
  await settledWithin(reading, COMMAND_PATIENCE)
  return printable((text || name).slice(0, MOST_COMMAND_CHARACTERS))
}

const linkOf = (path: string): string | null => {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
