// The first bytes of a segment: which one it is, and up to where the one before it counts. What lies behind that point was
// refused when it was written, whatever the disk has of it.

import { crc32 } from 'node:zlib'

const MAGIC = Buffer.from('FORKSPL1')
export const HEADER_SIZE = 36

export interface SegmentHeader {
  number: number
  /** No record in it has a smaller seq. */
  firstSeq: number
  /** Bytes of the segment before this one; 0 where there was none. */
  previousEnd: number
  /** Of the spool; see record.ts. */
  salt: number
}

export const encodeHeader = ({ number, firstSeq, previousEnd, salt }: SegmentHeader): Buffer => {
  const header = Buffer.alloc(HEADER_SIZE)
  MAGIC.copy(header)
  header.writeUIntBE(number, 8, 6)
  header.writeUIntBE(firstSeq, 14, 6)
  header.writeUIntBE(previousEnd, 20, 6)
  header.writeUInt32BE(salt, 26)
  header.writeUInt32BE(crc32(header.subarray(0, 32)), 32)
  return header
}

/** Null: it is not one, or damaged. */
export const decodeHeader = (bytes: Buffer): SegmentHeader | null => {
  if (bytes.length < HEADER_SIZE || !bytes.subarray(0, 8).equals(MAGIC)) return null
  if (crc32(bytes.subarray(0, 32)) !== bytes.readUInt32BE(32)) return null
  return {
    number: bytes.readUIntBE(8, 6),
    firstSeq: bytes.readUIntBE(14, 6),
    previousEnd: bytes.readUIntBE(20, 6),
    salt: bytes.readUInt32BE(26),
  }
}
