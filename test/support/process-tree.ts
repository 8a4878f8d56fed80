// Who runs on this machine, from /proc (Linux): descendants, members of a session, and processes that carry a mark in
// their environment, which finds also those that left their session and whose parents are gone.

import { readdirSync, readFileSync } from 'node:fs'
import { isAlive, type ProcessIdentity, signalProcess } from '../../src/shared/process-identity.js'

export interface ProcessRow extends ProcessIdentity {
  ppid: number
  pgid: number
  sid: number
  /** State letter of proc(5): R, S, D, T, Z, … */
  state: string
  command: string
}

/** All processes that exist now, zombies included. */
export const processTable = (): ProcessRow[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processRow(Number(name)) ?? [])

export const processRow = (pid: number): ProcessRow | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command in parentheses may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return {
      pid,
      state: fields[0] ?? '?',
      ppid: Number(fields[1]),
      pgid: Number(fields[2]),
      sid: Number(fields[3]),
      startTime: Number(fields[19]),
      command: commandOf(pid) || text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
    }
  } catch {
    return null
  }
}

/** A zombie holds nothing any more: only its parent's `wait` is missing. */
export const isZombie = ({ state }: ProcessRow): boolean => state === 'Z' || state === 'X'

/** Children, their children and so on; not the process itself. */
export const descendantsOf = (pid: number): ProcessRow[] => {
  const table = processTable()
  const found: ProcessRow[] = []
  const parents = new Set([pid])
  for (const parent of parents) {
    for (const row of table) {
      if (row.ppid !== parent || parents.has(row.pid)) continue
      parents.add(row.pid)
      found.push(row)
    }
  }
  return found
}

export const sessionMembers = (sid: number): ProcessRow[] => processTable().filter((row) => row.sid === sid)

/** Processes whose environment at their start held `variable` with `value`. */
export const markedProcesses = (variable: string, value: string): ProcessRow[] =>
  processTable().filter(({ pid }) => environmentOf(pid).includes(`${variable}=${value}`))

/** The most memory, in bytes, that a process has ever had resident. */
export const peakMemory = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

/** The environment that a process was started with, as `NAME=value`; empty if it is gone. */
export const environmentOf = (pid: number): string[] => readList(`/proc/${pid}/environ`)

/** Ends those very processes (pid and start time must match) and nobody else. */
export const killProcesses = (rows: readonly ProcessRow[]): void => {
  for (const row of rows) signalProcess(row, 'SIGKILL')
}

/** Those of `rows` that are still alive; a pid that was given to another process does not count. */
export const stillAlive = (rows: readonly ProcessRow[]): ProcessRow[] => rows.filter((row) => isAlive(row))

const commandOf = (pid: number): string => readList(`/proc/${pid}/cmdline`).join(' ')

const readList = (file: string): string[] => {
  try {
    return readFileSync(file, 'latin1')
      .split('\0')
      .filter((entry) => entry !== '')
  } catch {
    return []
  }
}
