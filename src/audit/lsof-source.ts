// Sockets from `lsof`, for systems without /proc (macOS, BSD). One bounded run for all processes; what it prints is
// understood in lsof-rows.ts. It lists what processes hold, so nothing is known of sockets in `time-wait`.

import { type ExecFileException, execFile } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { isAlive, processIdentity } from '../shared/process-identity.js'
import { LSOF_FIELDS, LsofReader } from './lsof-rows.js'
import { GONE } from './process-problem.js'
import { Slices } from './slices.js'
import type { HeldSocket, ProcessSockets, Snapshot } from './socket-table.js'

export interface LsofOptions {
  signal?: AbortSignal | undefined
  /** What is run, for tests. */
  command?: string
  /** ms; for tests. lsof waits for file systems that do not answer. */
  timeout?: number
}

const TIMEOUT = 10_000
/** About a hundred bytes a socket. */
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024
/** Where it is on macOS and on Linux, whatever PATH a service was given. */
const USUAL_FOLDERS = '/usr/sbin:/usr/bin:/sbin:/bin'
/** No names of hosts and ports, no warnings, whole command names; of descriptors no text and no working folder. */
const OPTIONS = ['-n', '-P', '-w', '+c', '0', '-a', '-d', '^cwd,^rtd,^txt,^mem', '-F', LSOF_FIELDS, '-p']

/**
 * @throws FORKSAFE_ERR_AUDIT_UNAVAILABLE: lsof is missing, failed, or took longer than 10 s; what to do is in the message.
 * @throws the reason of `signal`.
 */
export const readFromLsof = async (
  pids: readonly number[],
  { signal, command = 'lsof', timeout = TIMEOUT }: LsofOptions = {},
): Promise<Snapshot> => {
  const slices = new Slices(signal)
  const takenAt = Date.now()
  const text = pids.length === 0 ? '' : await runLsof(command, pids, timeout, signal)
  const reader = new LsofReader()
  for (const line of linesOf(text)) {
    reader.read(line)
    if (slices.isOver) await slices.next()
  }
  reader.end()
  const own = reader.processes.get(process.pid)
  if (own !== undefined) own.sockets = own.sockets.filter(isStillOurs)
  return { takenAt, source: 'lsof', processes: pids.map((pid) => rowOf(pid, reader)), unowned: [] }
}

/** Not what led to lsof itself: the ends of its stdio, which were sockets of ours while it ran. */
const isStillOurs = ({ fd, inode }: HeldSocket): boolean => {
  try {
    const stat = fstatSync(fd)
    return stat.isSocket() && (process.platform !== 'linux' || stat.ino === inode)
  } catch {
    return false
  }
}

const rowOf = (pid: number, { processes }: LsofReader): ProcessSockets => {
  const found = processes.get(pid)
  const identity = processIdentity(pid)
  const silence = isAlive(identity) ? NOT_LISTED : GONE
  return {
    ...identity,
    ppid: found?.ppid ?? 0,
    command: found?.command ?? '',
    sockets: found?.sockets ?? [],
    problem: found === undefined ? silence : null,
  }
}

const NOT_LISTED = 'lsof does not list it: ask as its user or as root'

function* linesOf(text: string): Generator<string> {
  for (let from = 0, to = 0; from < text.length; from = to + 1) {
    to = text.indexOf('\n', from)
    if (to < 0) to = text.length
    yield text.slice(from, to)
  }
}

const runLsof = (
  command: string,
  pids: readonly number[],
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<string> =>
  new Promise((resolve, reject) => {
    const path = [process.env.PATH, USUAL_FOLDERS].filter(Boolean).join(':')
    const options = {
      encoding: 'utf8',
      timeout,
      killSignal: 'SIGKILL',
      maxBuffer: MOST_OUTPUT_BYTES,
      env: { ...process.env, PATH: path, LC_ALL: 'C' },
      ...(signal === undefined ? {} : { signal }),
    } as const
    execFile(command, [...OPTIONS, pids.join(',')], options, (error, stdout, stderr) => {
      if (signal?.aborted) reject(signal.reason)
      // 1 is what it says when one of many processes is gone, and still lists the others; so it is when all are.
      else if (error === null || (error.code === 1 && stderr === '')) resolve(stdout)
      else reject(unavailable(error, stderr, timeout))
    })
  })

const unavailable = (error: ExecFileException, stderr: string, timeout: number): ForksafeError => {
  const why =
    error.code === 'ENOENT'
      ? 'lsof is not installed; install it (Debian, Ubuntu: apt-get install lsof; Fedora: dnf install lsof; Alpine: apk add lsof)'
      : error.killed === true
        ? `lsof did not end within ${timeout / 1_000} s; a file system that does not answer holds it up`
        : `lsof failed: ${messageOf(stderr || error)}`
  return new ForksafeError('FORKSAFE_ERR_AUDIT_UNAVAILABLE', `sockets cannot be listed: ${why}`, {
    details: { command: 'lsof' },
    cause: error,
  })
}
