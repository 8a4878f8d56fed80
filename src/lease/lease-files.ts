// The files of one record, in a folder of their own: n.lock, n.json and n.released of the number in force, and of those
// before until the next owner clears them away. What they mean is said, and decided, in record-taking.ts.
//
// All calls are synchronous: each takes microseconds, and what one of them saw is still so for the next.

import { randomBytes } from 'node:crypto'
import {
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../shared/config-file.js'
import { type MachineOwner, parseOwner } from './machine-owner.js'
import { lifeOf } from './owner-life.js'
import type { RecordEntry } from './taking-steps.js'

export interface FoundEntry extends RecordEntry {
  /** What its record says; null: nothing yet, or nothing that can be read. */
  holder: MachineOwner | null
}

const NAME = /^(\d{1,15})\.(?:lock|json|released|[0-9a-f]{8})$/
/** A file that was there a moment ago is gone when its number was released or cleared away: then all is read again. */
const MOST_READS = 50

export const lockPath = (folder: string, n: number): string => join(folder, `${n}.lock`)
const ownedPath = (folder: string, n: number): string => join(folder, `${n}.json`)
const releasedPath = (folder: string, n: number): string => join(folder, `${n}.released`)

/** What the folder holds, the lowest number first; nothing when there is no such folder. */
export const scanEntries = (folder: string): FoundEntry[] => {
  for (let reads = 1; ; reads++) {
    try {
      return numbersOf(listing(folder)).map(([n, names]) => readEntry(folder, n, names))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || reads >= MOST_READS) throw error
    }
  }
}

/** `owner` of an entry that this process has written. */
export const fingerprint = ({ pid, startTime, host }: MachineOwner): string =>
  `${pid} ${startTime} ${host.boot} ${host.pidNamespace} ${host.machine}`

/** Written whole and renamed, so that it is never half there. */
export const writeOwner = (folder: string, owner: MachineOwner): void => {
  const draft = join(folder, `${owner.epoch}.${randomBytes(4).toString('hex')}`)
  try {
    writeFileSync(draft, `${JSON.stringify(owner)}\n`, { flag: 'wx', mode: 0o600 })
    renameSync(draft, ownedPath(folder, owner.epoch))
  } catch (error) {
    remove(draft)
    throw error
  }
}

/** A rename: it works on a full disk, and the number stays for the next to go on from. */
export const markReleased = (folder: string, n: number): void => {
  try {
    renameSync(ownedPath(folder, n), releasedPath(folder, n))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Clears away what is left of lower numbers. Whatever cannot be removed does no harm. */
export const clearBelow = (folder: string, n: number): void => {
  try {
    for (const name of listing(folder)) {
      const number = numberOf(name)
      if (number !== null && number < n) remove(join(folder, name))
    }
  } catch {}
}

const remove = (path: string): void => {
  try {
    if (path.endsWith('.lock')) rmdirSync(path)
    else unlinkSync(path)
  } catch {}
}

const listing = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

const numberOf = (name: string): number | null => {
  const [, digits] = NAME.exec(name) ?? []
  return digits === undefined ? null : Number(digits)
}

const numbersOf = (names: readonly string[]): [number, string[]][] => {
  const found = new Map<number, string[]>()
  for (const name of names) {
    const n = numberOf(name)
    if (n !== null) found.set(n, [...(found.get(n) ?? []), name])
  }
  return [...found].filter(([n, all]) => all.some((name) => isPartOf(name, n))).sort(([a], [b]) => a - b)
}

/** A draft alone is no entry: its writer has its lock folder too, or came too late. */
const isPartOf = (name: string, n: number): boolean =>
  name === `${n}.lock` || name === `${n}.json` || name === `${n}.released`

/** Of the folder not the time that its owner has set, which stands still where a clock does, but when it was set. */
const readEntry = (folder: string, n: number, names: readonly string[]): FoundEntry => {
  const isReleased = names.includes(`${n}.released`)
  const isOwned = !isReleased && names.includes(`${n}.json`)
  const holder = isOwned ? parseOwner(readFileSync(ownedPath(folder, n), 'utf8')) : null
  return {
    n,
    refreshed: names.includes(`${n}.lock`) ? statSync(lockPath(folder, n)).ctimeMs : null,
    record: isReleased ? 'released' : isOwned ? 'owned' : 'none',
    owner: holder === null ? '' : fingerprint(holder),
    life: holder === null ? 'unknown' : lifeOf(holder),
    isOrphan: holder !== null && isOrphan(holder),
    holder,
  }
}

/** A worker whose supervisor certainly is gone. */
const isOrphan = ({ supervisor, host }: MachineOwner): boolean =>
  supervisor !== null && lifeOf({ ...supervisor, host }) === 'dead'
