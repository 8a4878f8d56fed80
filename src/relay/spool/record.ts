// How one entry of the log is written: pure, bytes in and out. Segments are src/relay/spool/segment.ts.
//
//   magic 4 | length of the payload 4 | CRC-32 of the payload, begun with the salt of the spool, 4 | payload
//   payload: kind 1 | flags 1 | seq 6 | acceptedAt 6 | expiresAt 6 (0: never) | length of id 1 | of key 1 | id | key | body
//
// Numbers are big endian, times Unix ms. The magic is what a scan looks for behind a damaged piece. The salt is a secret of
// the spool: a caller could otherwise write a record into the body of a message, and have it found when the rest is torn.

import { crc32 } from 'node:zlib'
import type { SpooledMessage } from '../messages.js'

const MAGIC = 0xf5c6_a1e9
const HEAD = 12
const FIXED = 22
const NUMBER = 6
const BINARY = 1
const KEYED = 2

/** Largest payload that is believed: a length beyond it is damage. */
export const MAX_PAYLOAD = 256 * 1024 * 1024

/**
 * - `message`: one to be sent.
 * - `dropped`, `expired`: what became of the message `seq`, which was not delivered.
 */
export type RecordKind = 'message' | 'dropped' | 'expired'
const KINDS: readonly RecordKind[] = ['message', 'dropped', 'expired']

/** Where a record is, and what a scan needs of it; the rest is read by {@link messageOf}. */
export interface RecordView {
  kind: RecordKind
  seq: number
  acceptedAt: number
  /** In the buffer that was looked at. */
  start: number
  end: number
}

export const encodeMessage = (message: SpooledMessage, salt: number): Buffer => {
  const { id, key, body } = message
  const record = Buffer.allocUnsafe(messageSize(message))
  let at = HEAD + FIXED
  at += record.write(id, at, 'latin1')
  at += record.write(key ?? '', at, 'latin1')
  body.copy(record, at)
  const flags = (message.isBinary ? BINARY : 0) | (key === null ? 0 : KEYED)
  return finish(record, 'message', flags, message, salt)
}

export const messageSize = ({ id, key, body }: Pick<SpooledMessage, 'id' | 'key' | 'body'>): number =>
  HEAD + FIXED + id.length + (key?.length ?? 0) + body.length

/** What became of a message that was not delivered. */
export const encodeNote = (kind: 'dropped' | 'expired', seq: number, at: number, salt: number): Buffer =>
  finish(
    Buffer.allocUnsafe(HEAD + FIXED),
    kind,
    0,
    { seq, acceptedAt: at, expiresAt: null, id: '', key: null },
    salt,
  )

const finish = (
  record: Buffer,
  kind: RecordKind,
  flags: number,
  { seq, acceptedAt, expiresAt, id, key }: Omit<SpooledMessage, 'body' | 'isBinary'>,
  salt: number,
): Buffer => {
  record.writeUInt32BE(MAGIC, 0)
  record.writeUInt32BE(record.length - HEAD, 4)
  record[HEAD] = KINDS.indexOf(kind) + 1
  record[HEAD + 1] = flags
  record.writeUIntBE(seq, HEAD + 2, NUMBER)
  record.writeUIntBE(Math.floor(acceptedAt), HEAD + 8, NUMBER)
  record.writeUIntBE(Math.floor(expiresAt ?? 0), HEAD + 14, NUMBER)
  record[HEAD + 20] = id.length
  record[HEAD + 21] = key?.length ?? 0
  record.writeUInt32BE(crc32(record.subarray(HEAD), salt), 8)
  return record
}

/**
 * The record that begins at `start`.
 *
 * @returns `{ missing }`: so many bytes, from `start`, are needed to tell, and the buffer has fewer. `'damaged'`: there is
 *   none, or not as it was written.
 */
export const viewRecord = (
  buffer: Buffer,
  start: number,
  salt: number,
): RecordView | { missing: number } | 'damaged' => {
  if (start + HEAD > buffer.length) return { missing: HEAD }
  if (buffer.readUInt32BE(start) !== MAGIC) return 'damaged'
  const length = buffer.readUInt32BE(start + 4)
  if (length < FIXED || length > MAX_PAYLOAD) return 'damaged'
  const at = start + HEAD
  const end = at + length
  if (end > buffer.length) return { missing: HEAD + length }
  if (crc32(buffer.subarray(at, end), salt) !== buffer.readUInt32BE(start + 8)) return 'damaged'
  const kind = KINDS[(buffer[at] ?? 0) - 1]
  if (kind === undefined) return 'damaged'
  const seq = buffer.readUIntBE(at + 2, NUMBER)
  const acceptedAt = buffer.readUIntBE(at + 8, NUMBER)
  return { kind, seq, acceptedAt, start, end }
}

/** Where the next record may begin, from `start` on; -1: nowhere in this buffer. */
export const findMagic = (buffer: Buffer, start: number): number => buffer.indexOf(MAGIC_BYTES, start)

const MAGIC_BYTES = Buffer.from([0xf5, 0xc6, 0xa1, 0xe9])

/** Copies what it needs: the buffer may be used again. */
export const messageOf = (buffer: Buffer, { start, end, seq, acceptedAt }: RecordView): SpooledMessage => {
  const at = start + HEAD
  const flags = buffer[at + 1] ?? 0
  const expiresAt = buffer.readUIntBE(at + 14, NUMBER)
  const idStart = at + FIXED
  const keyStart = idStart + (buffer[at + 20] ?? 0)
  const bodyStart = keyStart + (buffer[at + 21] ?? 0)
  return {
    seq,
    acceptedAt,
    id: buffer.toString('latin1', idStart, keyStart),
    key: (flags & KEYED) === 0 ? null : buffer.toString('latin1', keyStart, bodyStart),
    isBinary: (flags & BINARY) !== 0,
    expiresAt: expiresAt === 0 ? null : expiresAt,
    body: Buffer.from(buffer.subarray(bodyStart, end)),
  }
}

/** The hash of a record's id, without making the id; equal to {@link hashId} of it. */
export const hashOfRecord = (buffer: Buffer, { start }: RecordView): number => {
  const from = start + HEAD + FIXED
  const to = from + (buffer[start + HEAD + 20] ?? 0)
  let hash = OFFSET_BASIS
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (buffer[at] ?? 0), PRIME)
  return hash >>> 0
}

/** FNV-1a, 32 bits, of the characters of an ASCII text. */
export const hashId = (id: string): number => {
  let hash = OFFSET_BASIS
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), PRIME)
  return hash >>> 0
}

const OFFSET_BASIS = 0x811c_9dc5
const PRIME = 0x0100_0193
