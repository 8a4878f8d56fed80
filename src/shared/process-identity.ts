// Who a process is beyond its pid: a pid is reused, a pid with its start time is not.
// Linux reads /proc; elsewhere the start time is unknown and a pid alone is never proof enough to kill.

import { readFileSync } from 'node:fs'

/** `startTime` in clock ticks after boot (field 22 of /proc/PID/stat), or null where it cannot be known. */
export interface ProcessIdentity {
  pid: number
  startTime: number | null
}

export const processIdentity = (pid: number): ProcessIdentity => ({
  pid,
  startTime: statOf(pid)?.startTime ?? null,
})

/**
 * Whether that very process is still alive. A zombie counts as gone: it holds no socket, no lock and no memory. Not so
 * while it has threads: where the first one is killed before the others, all of that is still theirs.
 * Where start times cannot be known a live pid counts as alive.
 */
export const isAlive = ({ pid, startTime }: ProcessIdentity): boolean => {
  if (startTime !== null) {
    const stat = statOf(pid)
    return stat !== null && stat.startTime === startTime && !isOver(stat)
  }
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Sends a signal to that very process; false if it is gone or its identity cannot be proved. */
export const signalProcess = (identity: ProcessIdentity, signal: NodeJS.Signals): boolean => {
  if (identity.startTime === null || !isAlive(identity)) return false
  try {
    return process.kill(identity.pid, signal)
  } catch {
    return false
  }
}

/** What /proc/PID/stat says of a process, as far as anybody here asks. */
export interface ProcessStat {
  /** The first 15 bytes of its name. */
  name: string
  /** State letter of proc_pid_stat(5): R, S, D, T, Z, … */
  state: string
  ppid: number
  threads: number
  startTime: number
}

/** null where the text is not what the kernel writes. */
export const parseProcessStat = (text: string): ProcessStat | null => {
  // The command in parentheses may itself hold spaces and parentheses: count fields from the last ')'.
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  const stat = {
    name: text.slice(text.indexOf('(') + 1, end),
    state: fields[0] ?? '?',
    ppid: Number(fields[1]),
    threads: Number(fields[17]),
    startTime: Number(fields[19]),
  }
  return Number.isFinite(stat.startTime) ? stat : null
}

/** Whether nothing of it runs any more: it is a zombie, and has no thread that lives on without the first. */
export const isOver = ({ state, threads }: ProcessStat): boolean =>
  state === 'X' || (state === 'Z' && threads <= 1)

const statOf = (pid: number): ProcessStat | null => {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return null
  }
}
