// WebSocket frames as bytes (RFC 6455 section 5.2): a writer that also writes what nobody may write, and a reader of what
// a client sent. No socket here.

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameParts {
  opcode: number
  payload?: string | Buffer
  /** Default true. */
  fin?: boolean
  /** The three reserved bits, as 1 (RSV3), 2 (RSV2), 4 (RSV1). */
  rsv?: number
  /** A server must not mask (section 5.1). */
  isMasked?: boolean
  /** What the header says, if that is not the length of the payload. */
  claims?: bigint
}

export const frame = ({
  opcode,
  payload = '',
  fin = true,
  rsv = 0,
  isMasked = false,
  claims,
}: FrameParts): Buffer => {
  const body = Buffer.from(payload)
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const length = lengthField(claims ?? BigInt(body.length))
  length[0] = (length[0] ?? 0) | (isMasked ? 0x80 : 0)
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([Buffer.of(first), length, Buffer.alloc(isMasked ? 4 : 0), body])
}

export const text = (payload: string): Buffer => frame({ opcode: OPCODE.text, payload })
export const ping = (payload = ''): Buffer => frame({ opcode: OPCODE.ping, payload })
export const pong = (payload: string | Buffer = ''): Buffer => frame({ opcode: OPCODE.pong, payload })

export const close = (code: number, reason: string | Buffer = ''): Buffer => {
  const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)])
  payload.writeUInt16BE(code)
  return frame({ opcode: OPCODE.close, payload })
}

const lengthField = (length: bigint): Buffer => {
  if (length < 126n) return Buffer.of(Number(length))
  if (length < 65_536n) {
    const field = Buffer.of(126, 0, 0)
    field.writeUInt16BE(Number(length), 1)
    return field
  }
  const field = Buffer.alloc(9, 127)
  field.writeBigUInt64BE(length, 1)
  return field
}

export interface ReadFrame {
  opcode: number
  fin: boolean
  isMasked: boolean
  payload: Buffer
}

/** The code of a Close frame; 1005 where it has none (section 7.1.5). */
export const closeCodeOf = ({ payload }: ReadFrame): number =>
  payload.length < 2 ? 1005 : payload.readUInt16BE()

/** Takes bytes as they come, gives whole frames, unmasked. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  read(chunk: Buffer): ReadFrame[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const frames: ReadFrame[] = []
    for (let next = this.#next(); next !== null; next = this.#next()) frames.push(next)
    return frames
  }

  #next(): ReadFrame | null {
    const bytes = this.#rest
    const short = (bytes[1] ?? 0) & 0x7f
    const lengthEnd = short < 126 ? 2 : short === 126 ? 4 : 10
    if (bytes.length < lengthEnd) return null
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
    const isMasked = ((bytes[1] ?? 0) & 0x80) !== 0
    const begin = lengthEnd + (isMasked ? 4 : 0)
    if (bytes.length < begin + length) return null
    const mask = bytes.subarray(lengthEnd, begin)
    const payload = Buffer.from(bytes.subarray(begin, begin + length))
    if (isMasked) for (let at = 0; at < length; at++) payload[at] = (payload[at] ?? 0) ^ (mask[at % 4] ?? 0)
    this.#rest = bytes.subarray(begin + length)
    return { opcode: (bytes[0] ?? 0) & 0x0f, fin: ((bytes[0] ?? 0) & 0x80) !== 0, isMasked, payload }
  }
}
