// Records in the runtime folder whose owners are gone and have not released them: runs of other supervisors, and leases.
// Nothing is changed here: whoever takes the name or the lease next clears them away.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StaleRecord } from '../audit/audit-facts.js'
import { scanEntries } from '../lease/lease-files.js'
import { isAlive } from '../shared/process-identity.js'
import { readRunRecord } from './run-record.js'

/** Of a folder with more than this the rest is not looked at. */
const MOST = 1_000
/** ms. Whoever waits for a lease has taken over what is stale long before. */
const TAKEN_OVER_AFTER = 15_000
/** Begins what this package itself calls exclusive for a moment (machine-lease.ts). */
const OWN_IDENTITY = '\0'

/** @param waitsFor whether a client of this tree stands by for that identity. */
export const staleRecords = (folder: string, waitsFor: (identity: string) => boolean): StaleRecord[] => [
  ...staleRuns(folder),
  ...staleLeases(join(folder, 'leases'), waitsFor),
]

const staleRuns = (folder: string): StaleRecord[] =>
  listing(folder)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file): StaleRecord[] => {
      const path = join(folder, file)
      const record = readRunRecord(path)
      if (record === null || isAlive(record)) return []
      return [{ kind: 'run', name: record.name, pid: record.pid, file: path, isWaitedFor: false }]
    })

const staleLeases = (folder: string, waitsFor: (identity: string) => boolean): StaleRecord[] =>
  listing(folder).flatMap((key): StaleRecord[] => {
    const last = entriesIn(join(folder, key)).at(-1)
    if (last === undefined || last.record !== 'owned' || last.life !== 'dead' || last.holder === null)
      return []
    const { identity, name, pid } = last.holder
    if (identity.startsWith(OWN_IDENTITY)) return []
    const isLong = last.refreshed === null || Date.now() - last.refreshed > TAKEN_OVER_AFTER
    const file = join(folder, key, `${last.n}.json`)
    return [{ kind: 'lease', name, pid, file, isWaitedFor: isLong && waitsFor(identity) }]
  })

const entriesIn = (folder: string): ReturnType<typeof scanEntries> => {
  try {
    return scanEntries(folder)
  } catch {
    return []
  }
}

const listing = (folder: string): string[] => {
  try {
    return readdirSync(folder).slice(0, MOST)
  } catch {
    return []
  }
}
