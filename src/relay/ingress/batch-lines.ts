// The lines of a batch as messages. Pure; all lines are checked before one of them is handed on.

import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import type { NewMessage } from '../messages.js'
import { isPrintable } from './message-headers.js'
import { badRequest, type Problem, problem } from './problem.js'

export const MAX_LINES = 10_000
/** Bytes. */
export const MAX_BATCH = 16 * 1024 * 1024

const NEWLINE = 10
const RETURN = 13
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const FIELDS = ['data', 'base64', 'id', 'ttl', 'key']
const MAX_TTL = 2 ** 31 - 1
/** Lines up to that many bytes are parsed without looking at how deep they are. */
const SHORT = 64 * 1024

/**
 * @param maxMessage bytes of one message.
 * @param now unix time in ms, from which the times to live count.
 */
export const readBatch = (body: Buffer, maxMessage: number, now: number): NewMessage[] | Problem => {
  const messages: NewMessage[] = []
  const isText = isUtf8(body)
  let number = 0
  for (let at = startOf(body); at < body.length; ) {
    const found = body.indexOf(NEWLINE, at)
    const next = found < 0 ? body.length : found
    const end = next > at && body[next - 1] === RETURN ? next - 1 : next
    number++
    if (end > at) {
      if (messages.length === MAX_LINES) return tooMany()
      const line = body.subarray(at, end)
      const message = isText || isUtf8(line) ? readLine(line, maxMessage, now) : badRequest('is not UTF-8')
      if ('status' in message)
        return { ...message, detail: `line ${number} ${message.detail}; nothing was taken` }
      messages.push(message)
    }
    at = next + 1
  }
  return messages.length > 0 ? messages : badRequest('the batch is empty; write a JSON object a line')
}

const startOf = (body: Buffer): number => (body.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0)

const tooMany = (): Problem =>
  problem(413, 'FORKSAFE_ERR_RELAY_TOO_LARGE', `a batch has at most ${MAX_LINES} lines; nothing was taken`)

const readLine = (line: Buffer, maxMessage: number, now: number): NewMessage | Problem => {
  if (line.length > SHORT && !isFlat(line)) return badRequest('holds more than one object without depth')
  const fields = parse(line.toString('utf8'))
  if (fields === null) return badRequest('is not a JSON object')
  for (const name of Object.keys(fields)) {
    if (!FIELDS.includes(name))
      return badRequest(`has the field ${JSON.stringify(name.slice(0, 40))}; there is ${FIELDS.join(', ')}`)
  }
  const { data, base64, id = null, ttl = null, key = null } = fields
  if ((data === undefined) === (base64 === undefined))
    return badRequest('has not exactly one of data and base64')
  const body = data === undefined ? bytesOf(base64) : textOf(data)
  if (body === null) {
    return badRequest(
      data === undefined ? 'has a base64 that is no base64' : 'has a data that is no text (UTF-8)',
    )
  }
  if (body.length === 0) return badRequest('has an empty message')
  if (body.length > maxMessage) {
    return problem(413, 'FORKSAFE_ERR_RELAY_TOO_LARGE', `is larger than the ${maxMessage} bytes of a message`)
  }
  if (!isName(id))
    return badRequest('has an id that is not 1 to 128 printable ASCII characters without space')
  if (!isName(key))
    return badRequest('has a key that is not 1 to 128 printable ASCII characters without space')
  if (!isTtl(ttl)) return badRequest('has a ttl that is not a whole number of seconds, at least 1')
  return {
    id: id ?? randomUUID(),
    key,
    isBinary: data === undefined,
    expiresAt: ttl === null ? null : now + Math.min(ttl, MAX_TTL) * 1_000,
    body,
  }
}

const parse = (text: string): Record<string, unknown> | null => {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : null
  } catch {
    return null
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A text with half of a surrogate pair, which an escape can bring in, has no UTF-8. */
const textOf = (data: unknown): Buffer | null =>
  typeof data === 'string' && !/\p{Surrogate}/u.test(data) ? Buffer.from(data, 'utf8') : null

const bytesOf = (base64: unknown): Buffer | null => {
  if (typeof base64 !== 'string') return null
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : null
}

const isName = (value: unknown): value is string | null =>
  value === null || (typeof value === 'string' && isPrintable(value))

const isTtl = (value: unknown): value is number | null =>
  value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1)

/** Whether it opens one object and nothing in it: millions of brackets would cost a parser hundreds of megabytes. */
const isFlat = (line: Buffer): boolean => {
  let isInText = false
  let opened = 0
  for (let at = 0; at < line.length; at++) {
    const byte = line[at]
    if (isInText) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) isInText = false
    } else if (byte === 0x22) isInText = true
    else if ((byte === 0x7b || byte === 0x5b) && ++opened > 1) return false
  }
  return true
}
