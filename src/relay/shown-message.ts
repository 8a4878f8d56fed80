// A message as an operator sees it: what is known of it, and the beginning of its body.

import type { Fate, SpooledMessage } from './messages.js'
import type { ParkedMessage } from './spool.js'

export interface ShownMessage {
  id: string
  seq: number
  key: string | null
  isBinary: boolean
  /** Unix times in ms. */
  acceptedAt: number
  expiresAt: number | null
  /** Of the whole body. */
  bytes: number
  /** Its beginning: text, or base64 where it is binary. */
  body: string
  /** Whether `body` is less than all of it. */
  isCut: boolean
}

export interface ShownParked extends ShownMessage {
  reason: string
  parkedAt: number
}

/** What is known of one message: with its body where that is there. */
export type KnownMessage = Partial<Omit<ShownParked, 'reason'> & Fate>

/** Bytes of a body in a list, and of a single one. */
const IN_LIST = 256
const ALONE = 64 * 1024

export const show = (message: SpooledMessage, isAlone = false): ShownMessage => {
  const { id, seq, key, isBinary, acceptedAt, expiresAt, body } = message
  const most = isAlone ? ALONE : IN_LIST
  const shown = body.subarray(0, most)
  return {
    ...{ id, seq, key, isBinary, acceptedAt, expiresAt, bytes: body.length },
    body: isBinary ? shown.toString('base64') : shown.toString('utf8'),
    isCut: body.length > most,
  }
}

export const showParked = (message: ParkedMessage, isAlone = false): ShownParked => ({
  ...show(message, isAlone),
  reason: message.reason,
  parkedAt: message.parkedAt,
})
