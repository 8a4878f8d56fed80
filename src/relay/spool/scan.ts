// Goes through the bytes of a segment, record by record, and over damaged pieces to the next record that is as it was
// written. Knows no files: it is given a function that reads.

import { findMagic, type RecordView, viewRecord } from './record.js'

export interface ScanListener {
  /** `buffer` is used again: what is wanted of it has to be taken now. `offset` is where it begins in the segment. */
  record(buffer: Buffer, view: RecordView, offset: number): void
  /** Bytes that are no record, with a good one behind them. */
  damaged(from: number, to: number): void
}

const CHUNK = 1024 * 1024
/** Bytes of the magic that may lie at the end of a chunk, less one. */
const OVERLAP = 3

/** @returns up to where records go; less than `to` when nothing good lies behind. */
export const scan = async (
  read: (offset: number, length: number) => Promise<Buffer>,
  from: number,
  to: number,
  salt: number,
  listener: ScanListener,
): Promise<number> => {
  let chunk: Buffer = Buffer.alloc(0)
  let base = from
  let at = from
  let damagedFrom = -1
  const load = async (length: number): Promise<void> => {
    chunk = await read(at, Math.min(Math.max(CHUNK, length), to - at))
    base = at
  }
  while (at < to) {
    let view = viewRecord(chunk, at - base, salt)
    if (view !== 'damaged' && 'missing' in view) {
      await load(view.missing)
      // The chunk was at its end, and now begins here.
      view = viewRecord(chunk, 0, salt)
      if (
        view !== 'damaged' &&
        'missing' in view &&
        view.missing <= chunk.length + (to - base - chunk.length)
      ) {
        await load(view.missing)
        view = viewRecord(chunk, 0, salt)
      }
      if (chunk.length === 0) break
    }
    if (view !== 'damaged' && !('missing' in view)) {
      if (damagedFrom >= 0) listener.damaged(damagedFrom, at)
      damagedFrom = -1
      listener.record(chunk, view, at)
      at = base + view.end
      continue
    }
    if (damagedFrom < 0) damagedFrom = at
    const next = findMagic(chunk, at - base + 1)
    at = next >= 0 ? base + next : Math.max(at + 1, base + chunk.length - OVERLAP)
  }
  return damagedFrom >= 0 ? damagedFrom : Math.min(at, to)
}
