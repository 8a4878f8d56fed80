// Finds out, after a start, what the segments of a folder hold: which messages wait, which ids are known, what is damaged.
// What was being written when a process died was never acknowledged and is taken off; damaged pieces between good records
// are copied aside. Read-only, it changes nothing (`supervisor spool ls` beside a running relay).

import { join } from 'node:path'
import { errnoOf } from '../../shared/config-file.js'
import { messageOf as reasonOf } from '../../shared/errors.js'
import { hashOfRecord } from './record.js'
import { scan } from './scan.js'
import { Segment, segmentNumber, segmentPath } from './segment.js'
import { decodeHeader, HEADER_SIZE } from './segment-header.js'
import type { SpoolFiles } from './spool-files.js'

export interface Recovered {
  /** Oldest first. */
  segments: Segment[]
  /** Whether the last one may be written on. */
  isLastWhole: boolean
  /** Largest number of a file that was there. */
  lastNumber: number
  /** Largest seq that was given. */
  lastSeq: number
  /** Seqs of messages that were not delivered, beyond what is settled or before. */
  notes: Map<number, { state: 'dropped' | 'expired'; at: number }>
  quarantined: number
  /** Messages behind what is settled, with those that were dropped, and their bytes. */
  waiting: number
  waitingBytes: number
}

export interface RecoverOptions {
  files: SpoolFiles
  folder: string
  settledThrough: number
  /** For segments whose header does not tell. */
  salt: number
  isReadOnly: boolean
  warn: (text: string) => void
}

export const recover = async (options: RecoverOptions): Promise<Recovered> => {
  const opened: Opened[] = []
  try {
    const recovered = await readAll(options, opened)
    const last = recovered.segments.at(-1)
    // What was written before a kill may be in memory alone; a repetition of it is answered as if it were on disk.
    if (last !== undefined && !options.isReadOnly) await options.files.sync(last.fd)
    return recovered
  } catch (error) {
    for (const { fd } of opened) await options.files.close(fd).catch(() => {})
    throw error
  }
}

const readAll = async (options: RecoverOptions, opened: Opened[]): Promise<Recovered> => {
  const { files, folder, settledThrough, isReadOnly, warn } = options
  const numbers = (await files.list(folder))
    .map(segmentNumber)
    .filter((number) => number !== null)
    .sort((a, b) => a - b)
  const recovered: Recovered = {
    segments: [],
    isLastWhole: true,
    lastNumber: numbers.at(-1) ?? 0,
    lastSeq: 0,
    notes: new Map(),
    quarantined: 0,
    waiting: 0,
    waitingBytes: 0,
  }
  await openAll(options, numbers, opened)
  for (const [index, { number, fd, header, size }] of opened.entries()) {
    const next = opened[index + 1]?.header
    const isLast = index === opened.length - 1
    const firstSeq = header?.firstSeq ?? recovered.lastSeq + 1
    const salt = header?.salt ?? options.salt
    const segment = new Segment(files, folder, fd, { number, firstSeq, salt })
    // Beyond that point it was refused.
    const counts = next === null || next === undefined ? size : Math.min(size, next.previousEnd)
    segment.end = Math.max(counts, Math.min(size, HEADER_SIZE))
    recovered.lastSeq = Math.max(recovered.lastSeq, firstSeq - 1)
    const damage: { from: number; to: number }[] = []
    if (next !== null && next !== undefined && size < next.previousEnd) {
      recovered.quarantined++
      warn(
        `${segment.path}: ${next.previousEnd - size} bytes at the end are missing; what was in them is lost`,
      )
    }
    if (header === null && size > 0) damage.push({ from: 0, to: Math.min(size, HEADER_SIZE) })
    const good = await scan((offset, length) => segment.read(offset, length), HEADER_SIZE, counts, salt, {
      record: (buffer, view, offset) => {
        if (view.kind !== 'message') {
          recovered.notes.set(view.seq, { state: view.kind, at: view.acceptedAt })
          return
        }
        segment.noteMessage(view.seq, offset, hashOfRecord(buffer, view))
        recovered.lastSeq = Math.max(recovered.lastSeq, view.seq)
        if (view.seq <= settledThrough) return
        recovered.waiting++
        recovered.waitingBytes += view.end - view.start
      },
      damaged: (from, to) => {
        damage.push({ from, to })
        segment.noteHole(from, to)
      },
    })
    const isTorn = good < counts
    if (isTorn) damage.push({ from: good, to: counts })
    for (const { from, to } of damage) {
      recovered.quarantined++
      if (isReadOnly) continue
      const isTail = isLast && isTorn && from === good
      warn(
        isTail
          ? `${segment.path}: ${to - from} bytes at the end are no whole message, as after a crash while they were written; they were never acknowledged and are put aside`
          : `${segment.path}: ${to - from} bytes from ${from} on are damaged and put aside; all around them is kept`,
      )
      await putAside(options, segment, from, to)
    }
    segment.end = Math.max(good, HEADER_SIZE)
    if (isLast) recovered.isLastWhole = header !== null && !isTorn
    if (isLast && isTorn && header !== null && !isReadOnly)
      recovered.isLastWhole = await cutOff(files, segment, warn)
    recovered.segments.push(segment)
  }
  return recovered
}

interface Opened {
  number: number
  fd: number
  size: number
  header: ReturnType<typeof decodeHeader>
}

/** Those that are there; a beginning that was never finished is taken away. */
const openAll = async (
  { files, folder, isReadOnly, warn }: RecoverOptions,
  numbers: number[],
  opened: Opened[],
): Promise<void> => {
  for (const number of numbers) {
    const path = segmentPath(folder, number)
    let fd: number
    try {
      fd = await files.open(path, isReadOnly ? 'read' : 'update')
    } catch (error) {
      // Its owner has taken it away meanwhile.
      if (isReadOnly && errnoOf(error) === 'ENOENT') continue
      throw error
    }
    const one: Opened = { number, fd, size: 0, header: null }
    opened.push(one)
    one.size = await files.size(fd)
    const bytes = Buffer.alloc(HEADER_SIZE)
    await files.read(fd, bytes, 0)
    one.header = decodeHeader(bytes)
    if (one.header === null && one.size <= HEADER_SIZE) {
      opened.pop()
      await files.close(fd)
      if (isReadOnly) continue
      warn(`${path}: was not begun to the end and is taken away; nothing was in it`)
      await files.remove(path)
    }
  }
}

/** Where it cannot be put aside it stays where it is, in its segment, until that one is deleted. */
const putAside = async (
  { files, folder, warn }: RecoverOptions,
  segment: Segment,
  from: number,
  to: number,
): Promise<void> => {
  const quarantine = join(folder, 'quarantine')
  try {
    await files.makeFolder(quarantine).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error
    })
    const bytes = Buffer.alloc(to - from)
    await files.read(segment.fd, bytes, from)
    const fd = await files.open(join(quarantine, `${segment.number}-${from}.bin`), 'create')
    try {
      await files.write(fd, bytes, 0)
      await files.sync(fd)
    } finally {
      await files.close(fd)
    }
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') warn(`${quarantine}: damaged bytes cannot be kept: ${reasonOf(error)}`)
  }
}

/** False: it cannot be cut, and is not written on. */
const cutOff = async (
  files: SpoolFiles,
  segment: Segment,
  warn: (text: string) => void,
): Promise<boolean> => {
  try {
    await files.truncate(segment.fd, segment.end)
    await files.sync(segment.fd)
    return true
  } catch (error) {
    warn(`${segment.path}: cannot be cut (${reasonOf(error)}); a new segment is begun`)
    return false
  }
}
