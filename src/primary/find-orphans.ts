// Processes that a worker of this supervisor, or of one of the same name before, began, and that outlived it. They are known
// by what they inherited: the worker's environment names the supervisor and its folder. Linux alone: only /proc tells.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Slices } from '../audit/slices.js'
import { isAlive, isOver, parseProcessStat } from '../shared/process-identity.js'
import { readRunRecord } from './run-record.js'

interface Found {
  pid: number
  ppid: number
  isMarked: boolean
}

/**
 * Pids of living processes with the mark that are outside of the tree and below no living supervisor.
 *
 * @param tree the supervisor and all its descendants.
 */
export const findOrphans = async (
  name: string,
  folder: string,
  tree: ReadonlySet<number>,
): Promise<number[]> => {
  const marks = [`SUPERVISOR_NAME=${name}`, `SUPERVISOR_FOLDER=${folder}`]
  const found = new Map((await readProcesses(tree, marks)).map((each) => [each.pid, each]))
  const supervisors = livingSupervisors(folder)
  const isSupervised = (pid: number): boolean => {
    const seen = new Set<number>()
    for (let at = pid; at > 1 && !seen.has(at); at = found.get(at)?.ppid ?? 0) {
      if (supervisors.has(at) || tree.has(at)) return true
      seen.add(at)
    }
    return false
  }
  return [...found.values()]
    .filter(({ pid, isMarked }) => isMarked && !isSupervised(pid))
    .map(({ pid }) => pid)
}

const readProcesses = async (tree: ReadonlySet<number>, marks: readonly string[]): Promise<Found[]> => {
  const found: Found[] = []
  const slices = new Slices()
  for (const entry of listing('/proc')) {
    const pid = Number(entry)
    if (!Number.isSafeInteger(pid) || tree.has(pid)) continue
    const process = readProcess(pid, marks)
    if (process !== null) found.push(process)
    if (slices.isOver) await slices.next()
  }
  return found
}

/** null: gone, or over. */
const readProcess = (pid: number, marks: readonly string[]): Found | null => {
  try {
    const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    if (stat === null || isOver(stat)) return null
    return { pid, ppid: stat.ppid, isMarked: hasMarks(pid, marks) }
  } catch {
    return null
  }
}

/** Of a process of another user it is not known: it is none of ours then. */
const hasMarks = (pid: number, marks: readonly string[]): boolean => {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
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
