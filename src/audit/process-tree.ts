// Who descends from a process, by the parents that the kernel tells. From /proc where there is one, else from `ps`.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { isOver, parseProcessStat } from '../shared/process-identity.js'
import { Slices } from './slices.js'
import { defaultSource } from './take-snapshot.js'

/** ms. */
const PS_TIMEOUT = 5_000
const MOST_OUTPUT_BYTES = 16 * 1024 * 1024

/**
 * The pids of `root` and everything below it, `root` first, parents before their children. A process that is only not
 * yet waited for is left out: it holds nothing. One whose parent died belongs to somebody else by now and is not found.
 *
 * @throws FORKSAFE_ERR_AUDIT_UNAVAILABLE: there is no /proc, and `ps` is missing or failed.
 */
export const processTree = async (root: number): Promise<number[]> => {
  const children = defaultSource() === 'proc' ? await childrenFromProc() : await childrenFromPs()
  const tree = new Set([root])
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child)
  return [...tree]
}

type Children = Map<number, number[]>

const childrenFromProc = async (): Promise<Children> => {
  const children: Children = new Map()
  const slices = new Slices()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = statOf(name)
    if (stat !== null && !isOver(stat)) add(children, stat.ppid, Number(name))
    if (slices.isOver) await slices.next()
  }
  return children
}

const statOf = (name: string) => {
  try {
    return parseProcessStat(readFileSync(`/proc/${name}/stat`, 'latin1'))
  } catch {
    return null
  }
}

const childrenFromPs = async (): Promise<Children> => {
  const children: Children = new Map()
  const { text, ps } = await runPs()
  for (const line of text.split('\n')) {
    const [, pid, ppid, state = ''] = /^ *(\d+) +(\d+) +(\S+)/.exec(line) ?? []
    if (pid === undefined || Number(pid) === ps || state.startsWith('Z')) continue
    add(children, Number(ppid), Number(pid))
  }
  return children
}

/** @returns what it printed, and its own pid, which is among it. */
const runPs = async (): Promise<{ text: string; ps: number | undefined }> => {
  try {
    const options = { encoding: 'utf8', timeout: PS_TIMEOUT, maxBuffer: MOST_OUTPUT_BYTES } as const
    const running = promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,state='], options)
    const { stdout } = await running
    return { text: stdout, ps: running.child.pid }
  } catch (error) {
    throw new ForksafeError(
      'FORKSAFE_ERR_AUDIT_UNAVAILABLE',
      `processes cannot be listed: ps failed: ${messageOf(error)}`,
      { details: { command: 'ps' }, cause: error },
    )
  }
}

const add = (children: Children, parent: number, child: number): void => {
  const known = children.get(parent)
  if (known === undefined) children.set(parent, [child])
  else known.push(child)
}
