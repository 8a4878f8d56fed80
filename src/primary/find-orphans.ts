// Processes that a worker of this supervisor, or of one of the same name before, began, and that outlived it. They are known
// by what they inherited: the worker's environment names the supervisor and its folder. Linux alone: only /proc tells.

import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Slices } from '../audit/slices.js'
import { isAlive, isOver, parseProcessStat } from '../shared/process-identity.js'
import { settledWithin } from '../shared/settled-within.js'
import { readRunRecord } from './run-record.js'

/** ms for the environments of all processes together. */
const ENVIRONMENTS_WITHIN = 1_000

interface Found {
  pid: number
  ppid: number
  isMarked: boolean
}

/**
 * Pids of living processes with the mark that are outside of the tree and below no living supervisor. As the first process
 * of a container the supervisor is the new parent of those that lost theirs: they are its children, and no workers.
 *
 * @param tree the supervisor and all its descendants.
 * @param workers those that it forked.
 */
export const findOrphans = async (
  name: string,
  folder: string,
  tree: ReadonlySet<number>,
  workers: ReadonlySet<number>,
): Promise<number[]> => {
  const marks = [`SUPERVISOR_NAME=${name}`, `SUPERVISOR_FOLDER=${folder}`]
  const all = await readProcesses(marks)
  const found = new Map(all.filter(({ pid }) => !tree.has(pid)).map((each) => [each.pid, each]))
  const adopted = all.filter(({ pid, ppid }) => ppid === process.pid && tree.has(pid) && !workers.has(pid))
  const supervisors = livingSupervisors(folder)
  const isSupervised = (pid: number): boolean => {
    const seen = new Set<number>()
    for (let at = pid; at > 0 && !seen.has(at); at = found.get(at)?.ppid ?? 0) {
      if (supervisors.has(at) || tree.has(at)) return true
      seen.add(at)
    }
    return false
  }
  return [...[...found.values()].filter(({ pid }) => !isSupervised(pid)), ...adopted]
    .filter(({ isMarked }) => isMarked)
    .map(({ pid }) => pid)
}

const readProcesses = async (marks: readonly string[]): Promise<Found[]> => {
  const found: Found[] = []
  const slices = new Slices()
  const deadline = performance.now() + ENVIRONMENTS_WITHIN
  for (const entry of listing('/proc')) {
    const pid = Number(entry)
    if (!Number.isSafeInteger(pid)) continue
    const process = await readProcess(pid, marks, deadline - performance.now())
    if (process !== null) found.push(process)
    if (slices.isOver) await slices.next()
  }
  return found
}

/** null: gone, or over. */
const readProcess = async (pid: number, marks: readonly string[], within: number): Promise<Found | null> => {
  try {
    const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    if (stat === null || isOver(stat)) return null
    return { pid, ppid: stat.ppid, isMarked: await hasMarks(pid, marks, within) }
  } catch {
    return null
  }
}

/** Of a process of another user it is not known: it is none of ours then. */
const hasMarks = async (pid: number, marks: readonly string[], within: number): Promise<boolean> => {
  try {
    // A process that the kernel holds in a page fault lets everybody wait who reads its memory, and that may be for ever.
    const reading = readFile(`/proc/${pid}/environ`, 'utf8')
    reading.catch(() => {})
    if (within <= 0 || !(await settledWithin(reading, within))) return false
    const variables = (await reading).split('\0')
    return marks.every((mark) => variables.includes(mark))
  } catch {
    return false
  }
}

/** A worker may have started another supervisor; what that one runs is its own. */
const livingSupervisors = (folder: string): Set<number> => {
  const records = listing(folder).filter((file) => file.endsWith('.json'))
  return new Set(
    records.flatMap((file) => {
      const record = readRunRecord(join(folder, file))
      return record !== null && isAlive(record) ? [record.pid] : []
    }),
  )
}

const listing = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
