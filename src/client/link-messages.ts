// What a standby and the holder of an exclusive connection say to each other, as JSON values. The holder is a worker of
// the same primary with the same version as a rule, but during an update maybe with another one: what has not the right
// shape is not understood, and nothing is taken for granted of it.

import { ERROR_CODES, type ErrorCode } from '../shared/errors.js'
import type { Sendable } from './connection.js'
import type { ReceiptLevel } from './outbox.js'

/** Data as it travels: a text as it is, bytes in base64. */
export type PackedData = string | { b: string }

/** What is not the usual with a message. */
export interface MessageTerms {
  /** Level that its sender insists on, or `processed`. */
  level?: ReceiptLevel
  id?: string | number
  /** ms that are left to write it. */
  expiresIn?: number
}

/** Messages to be sent, in order. Their numbers follow each other from `first` unless `numbers` names them. */
export interface ForwardMessage {
  t: 'forward'
  batch: number
  first: number
  numbers?: number[]
  data: PackedData[]
  /** By index. */
  terms?: Record<number, MessageTerms>
}

/** From the first to the last number, what is proved, and over which connection of the holder. */
export type ConfirmedRange = [first: number, last: number, level: ReceiptLevel, epoch: number]
export type RejectedNumber = [number: number, code: ErrorCode, why: string]

export interface AnswerMessage {
  t: 'answer'
  confirmed?: ConfirmedRange[]
  rejected?: RejectedNumber[]
}

/** The holder takes nothing more: what it has read last, and what of that it has not written. */
export interface ByeMessage {
  t: 'bye'
  lastBatch: number
  unsent: number[]
}

/** What has come in, for standbys with `fanout`. `epoch`: the connection of the holder. */
export interface IncomingBatch {
  t: 'incoming'
  epoch: number
  messages: [data: PackedData, isBinary: boolean][]
}

/** What a standby's session makes use of. */
export type HolderAnswer = AnswerMessage | ByeMessage

export type HolderMessage = HolderAnswer | IncomingBatch

export const packData = (data: Sendable): PackedData => {
  if (typeof data === 'string') return data
  const bytes = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(data)
  return { b: bytes.toString('base64') }
}

export const unpackData = (data: PackedData): string | Buffer =>
  typeof data === 'string' ? data : Buffer.from(data.b, 'base64')

export const forwardMessageIn = (value: unknown): ForwardMessage | null =>
  isObject(value) &&
  value.t === 'forward' &&
  Number.isSafeInteger(value.batch) &&
  Number.isSafeInteger(value.first) &&
  Array.isArray(value.data) &&
  value.data.every(isPacked) &&
  (value.numbers === undefined || isNumbers(value.numbers)) &&
  (value.terms === undefined || isObject(value.terms))
    ? (value as unknown as ForwardMessage)
    : null

export const holderMessageIn = (value: unknown): HolderMessage | null => {
  if (!isObject(value) || typeof value.t !== 'string' || !Object.hasOwn(HOLDER_MESSAGES, value.t)) return null
  const isRight = HOLDER_MESSAGES[value.t as HolderMessage['t']]
  return isRight(value) ? (value as unknown as HolderMessage) : null
}

type Fields = Record<string, unknown>

const LEVELS: readonly unknown[] = ['written', 'received', 'processed'] satisfies ReceiptLevel[]

const HOLDER_MESSAGES: Record<HolderMessage['t'], (fields: Fields) => boolean> = {
  answer: ({ confirmed = [], rejected = [] }) =>
    isArrayOf(confirmed, (range) => isNumbers(range.slice(0, 2)) && LEVELS.includes(range[2])) &&
    isArrayOf(
      rejected,
      ([number, code, why]) =>
        Number.isSafeInteger(number) &&
        typeof code === 'string' &&
        Object.hasOwn(ERROR_CODES, code) &&
        typeof why === 'string',
    ),
  bye: ({ lastBatch, unsent }) => Number.isSafeInteger(lastBatch) && isNumbers(unsent),
  incoming: ({ epoch, messages }) =>
    Number.isSafeInteger(epoch) && isArrayOf(messages, ([data]) => isPacked(data)),
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isPacked = (value: unknown): boolean =>
  typeof value === 'string' || (isObject(value) && typeof value.b === 'string')
const isNumbers = (value: unknown): boolean =>
  Array.isArray(value) && value.every((number) => Number.isSafeInteger(number))
const isArrayOf = (value: unknown, isRight: (item: unknown[]) => boolean): boolean =>
  Array.isArray(value) && value.every((item: unknown) => Array.isArray(item) && isRight(item))
