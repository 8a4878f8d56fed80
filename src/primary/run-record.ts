// What a running supervisor leaves written for the next one: who it is, which workers it has, by when it will be gone.
// A pid in it is trusted only together with its start time. Written whole and renamed, so it is never half there.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ProcessIdentity } from '../shared/process-identity.js'
import type { SupervisorState } from '../shared/status.js'

export interface RunRecord extends ProcessIdentity {
  name: string
  state: SupervisorState
  /** Unix time in ms by which a stopping supervisor will be gone, else null. */
  goneBy: number | null
  /** The process whose end is this one's too, such as pm2's daemon. Older versions say nothing of it. */
  parent?: ProcessIdentity | null
  workers: ProcessIdentity[]
}

const DRAFT = /\.json\.[0-9a-f]{8}$/

/** Null when there is none or it is not readable as one. */
export const readRunRecord = (path: string): RunRecord | null => {
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isRunRecord(record) ? record : null
  } catch {
    return null
  }
}

/** Synchronous: it has to be there before a worker that was just forked can do anything. */
export const writeRunRecord = (path: string, record: RunRecord): void => {
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  // 'wx': never through a symlink that somebody planted.
  writeFileSync(draft, `${JSON.stringify(record)}\n`, { flag: 'wx', mode: 0o600 })
  renameSync(draft, path)
}

/** What a supervisor of this name that was killed had not renamed yet. To be called with the name's lock held. */
export const removeRunDrafts = (path: string): void => {
  const folder = dirname(path)
  const drafts = readdirSync(folder).filter(
    (name) => name.startsWith(`${basename(path)}.`) && DRAFT.test(name),
  )
  for (const name of drafts) rmSync(join(folder, name), { force: true })
}

export const removeRunRecord = (path: string): void => rmSync(path, { force: true })

const isRunRecord = (value: unknown): value is RunRecord => {
  if (typeof value !== 'object' || value === null) return false
  const { name, state, goneBy, parent, workers } = value as Record<string, unknown>
  return (
    isIdentity(value) &&
    typeof name === 'string' &&
    typeof state === 'string' &&
    (goneBy === null || typeof goneBy === 'number') &&
    (parent === undefined || parent === null || isIdentity(parent)) &&
    Array.isArray(workers) &&
    workers.every(isIdentity)
  )
}

const isIdentity = (value: unknown): value is ProcessIdentity => {
  if (typeof value !== 'object' || value === null) return false
  const { pid, startTime } = value as Record<string, unknown>
  return Number.isSafeInteger(pid) && (startTime === null || Number.isSafeInteger(startTime))
}
