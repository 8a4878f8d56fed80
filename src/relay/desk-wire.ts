// What a relay worker and the owner's desk say to each other: paths, and batches of messages as bytes, because a body that
// went through JSON would be copied and escaped. Answers are small and are JSON. Both ends are always of one version: the
// workers of one supervisor, but for the minute of a rolling restart; a batch of another version is refused.

import type { AppendOutcome, Fate, NewMessage, Refusal } from './messages.js'

export const DESK_PATHS = {
  append: '/v1/append',
  fate: '/v1/fate',
  /** A stream each way: wanted ids go up, fates come down as they are settled. */
  watch: '/v1/watch',
  status: '/v1/status',
  list: '/v1/list',
  parked: '/v1/parked',
  message: '/v1/message',
  retry: '/v1/retry',
  drop: '/v1/drop',
} as const

/** Bounds of one batch: a message that is larger goes alone. */
export const BATCH_COUNT = 1_024
export const BATCH_BYTES = 4 * 1024 * 1024
/** Largest body that a desk reads. */
export const MAX_BATCH_BODY = 160 * 1024 * 1024

const MAGIC = 0x46_53_42_31 // FSB1
const HEAD = 8
/** flags, length of id, length of key, length of body, expiry. */
const RECORD = 1 + 1 + 1 + 4 + 8
const BINARY = 1
const KEYED = 2
const EXPIRING = 4

export const encodeBatch = (messages: readonly NewMessage[]): Buffer => {
  let size = HEAD
  for (const { id, key, body } of messages) size += RECORD + id.length + (key?.length ?? 0) + body.length
  const bytes = Buffer.allocUnsafe(size)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt32BE(messages.length, 4)
  let at = HEAD
  for (const { id, key, isBinary, expiresAt, body } of messages) {
    const flags = (isBinary ? BINARY : 0) | (key === null ? 0 : KEYED) | (expiresAt === null ? 0 : EXPIRING)
    at = bytes.writeUInt8(flags, at)
    at = bytes.writeUInt8(id.length, at)
    at = bytes.writeUInt8(key?.length ?? 0, at)
    at = bytes.writeUInt32BE(body.length, at)
    at = bytes.writeDoubleBE(expiresAt ?? 0, at)
    at += bytes.write(id, at, 'latin1')
    if (key !== null) at += bytes.write(key, at, 'latin1')
    at += body.copy(bytes, at)
  }
  return bytes
}

/** Null: not a batch, or not of this version. The bodies are views of `bytes`. */
export const decodeBatch = (bytes: Buffer): NewMessage[] | null => {
  if (bytes.length < HEAD || bytes.readUInt32BE(0) !== MAGIC) return null
  const count = bytes.readUInt32BE(4)
  const messages: NewMessage[] = []
  let at = HEAD
  for (let index = 0; index < count; index++) {
    if (at + RECORD > bytes.length) return null
    const flags = bytes.readUInt8(at)
    const idEnd = at + RECORD + bytes.readUInt8(at + 1)
    const keyEnd = idEnd + bytes.readUInt8(at + 2)
    const end = keyEnd + bytes.readUInt32BE(at + 3)
    if (end > bytes.length) return null
    messages.push({
      id: bytes.toString('latin1', at + RECORD, idEnd),
      key: (flags & KEYED) === 0 ? null : bytes.toString('latin1', idEnd, keyEnd),
      isBinary: (flags & BINARY) !== 0,
      expiresAt: (flags & EXPIRING) === 0 ? null : bytes.readDoubleBE(at + 7),
      body: bytes.subarray(keyEnd, end),
    })
    at = end
  }
  return at === bytes.length ? messages : null
}

/** An outcome without what the asker knows: an accepted message is its number. */
type OutcomeOnWire = number | { duplicate: Fate } | { refused: Refusal } | 'conflict'

export const encodeOutcomes = (outcomes: readonly AppendOutcome[]): string =>
  JSON.stringify(
    outcomes.map((outcome): OutcomeOnWire => {
      if (outcome.outcome === 'accepted') return outcome.seq
      if (outcome.outcome === 'duplicate') return { duplicate: outcome.fate }
      return outcome.outcome === 'refused' ? { refused: outcome.refusal } : 'conflict'
    }),
  )

/** Null: not the answers to so many messages. */
export const decodeOutcomes = (text: string, messages: readonly { id: string }[]): AppendOutcome[] | null => {
  const answers = parsed(text)
  if (!Array.isArray(answers) || answers.length !== messages.length) return null
  return messages.map(({ id }, index): AppendOutcome => {
    const answer: OutcomeOnWire = answers[index]
    if (typeof answer === 'number') return { outcome: 'accepted', id, seq: answer }
    if (answer === 'conflict') return { outcome: 'conflict', id }
    if ('duplicate' in answer) return { outcome: 'duplicate', id, fate: answer.duplicate }
    return { outcome: 'refused', id, refusal: answer.refused }
  })
}

/** Undefined: not JSON. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
