// What the headers of a request say of its message: frame type, id, time to live, ordering key, how long to wait. Pure.
// The body: body.ts, batch-lines.ts.

import type { IncomingHttpHeaders } from 'node:http'
import { badRequest, type Problem, problem } from './problem.js'

export interface MessageHeaders {
  isBinary: boolean
  /** Null: one is to be made. */
  id: string | null
  key: string | null
  /** Seconds; null: for ever. */
  ttl: number | null
  /** Seconds that the answer may wait for the fate; 0: not at all. */
  wait: number
}

/** Seconds; more is cut to it. */
const MAX_WAIT = 300
/** RFC 8030 section 5.2: what is longer counts as 2^31 seconds. */
const MAX_TTL = 2 ** 31 - 1
const PRINTABLE = /^[!-~]{1,128}$/

export const isPrintable = (text: string): boolean => PRINTABLE.test(text)

export const readMessageHeaders = (headers: IncomingHttpHeaders): MessageHeaders | Problem => {
  const refused = refuseEncodings(headers)
  if (refused !== null) return refused
  const frame = frameOf(headers['content-type'])
  if (frame === null) return wrongType(headers['content-type'])
  const id = readId(headers['idempotency-key'])
  if (typeof id === 'object' && id !== null) return id
  const key = readKey(headers['ordering-key'])
  if (typeof key === 'object' && key !== null) return key
  const ttl = readTtl(headers.ttl)
  if (typeof ttl === 'object' && ttl !== null) return ttl
  const wait = readWait(headers.prefer)
  if (typeof wait === 'object') return wait
  return { isBinary: frame === 'binary', id, key, ttl, wait }
}

/** Of a batch: its type, and nothing else that belongs to a single message. */
export const refuseBatchHeaders = (headers: IncomingHttpHeaders): Problem | null => {
  const refused = refuseEncodings(headers)
  if (refused !== null) return refused
  const { type, charset } = mediaType(headers['content-type'] ?? '')
  if ((type !== 'application/x-ndjson' && type !== 'application/jsonl') || !isUtf8Name(charset)) {
    return problem(
      415,
      'FORKSAFE_ERR_RELAY_TYPE',
      `a batch has the type application/x-ndjson, not ${shown(headers['content-type'])}`,
    )
  }
  for (const name of ['idempotency-key', 'ordering-key', 'ttl', 'prefer']) {
    if (name !== 'prefer' && headers[name] !== undefined)
      return badRequest(`the header ${name} belongs to one message; in a batch each line has its own`)
  }
  return null
}

const refuseEncodings = (headers: IncomingHttpHeaders): Problem | null => {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return problem(415, 'FORKSAFE_ERR_RELAY_TYPE', `the body is ${shown(encoding)}; send it as it is`)
  }
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && transfer.toLowerCase() !== 'chunked') {
    return problem(
      501,
      'FORKSAFE_ERR_RELAY_TYPE',
      `the transfer coding ${shown(transfer)} is not known; chunked is`,
    )
  }
  return null
}

const frameOf = (header: string | undefined): 'text' | 'binary' | null => {
  if (header === undefined || header === 'application/json' || header === 'text/plain') return 'text'
  const { type, charset } = mediaType(header)
  if (type === 'application/octet-stream') return 'binary'
  return (type === 'application/json' || TEXT.test(type)) && isUtf8Name(charset) ? 'text' : null
}

const TEXT = /^text\/[!#$&^_.+\w-]+$/

const isUtf8Name = (charset: string | null): boolean =>
  charset === null || /^(utf-?8|us-ascii)$/.test(charset)

/** RFC 9110 section 8.3.1, as far as it matters here. */
const mediaType = (header: string): { type: string; charset: string | null } => {
  const [type = '', ...parameters] = header.toLowerCase().split(';')
  const charset = parameters.map((each) => /^\s*charset="?([^"\s]*)"?\s*$/.exec(each)?.[1]).find(Boolean)
  return { type: type.trim(), charset: charset ?? null }
}

const wrongType = (header: string | undefined): Problem => {
  const hint = header?.startsWith('application/x-www-form-urlencoded')
    ? ', which some clients say by themselves'
    : ''
  return problem(
    415,
    'FORKSAFE_ERR_RELAY_TYPE',
    `a message is not of type ${shown(header)}${hint}; say text/plain or application/json for a text frame (UTF-8), application/octet-stream for a binary one`,
  )
}

/** The IETF draft of Idempotency-Key has it in double quotes; most callers send it bare. */
const readId = (header: string | string[] | undefined): string | null | Problem => {
  if (header === undefined) return null
  const text = String(header)
  const isQuoted = text.length >= 2 && text.startsWith('"') && text.endsWith('"')
  const id = isQuoted ? text.slice(1, -1) : text
  if (isPrintable(id)) return id
  return badRequest('Idempotency-Key is not 1 to 128 printable ASCII characters without space')
}

const readKey = (header: string | string[] | undefined): string | null | Problem => {
  if (header === undefined) return null
  const key = String(header)
  if (isPrintable(key)) return key
  return badRequest('Ordering-Key is not 1 to 128 printable ASCII characters without space')
}

const readTtl = (header: string | string[] | undefined): number | null | Problem => {
  if (header === undefined) return null
  const ttl = /^\d{1,15}$/.test(String(header)) ? Number(header) : 0
  if (ttl < 1) return badRequest('TTL is not a whole number of seconds, at least 1')
  return Math.min(ttl, MAX_TTL)
}

/** RFC 7240: a list of preferences; those that are not ours are passed over, and of several the first one counts. */
const readWait = (header: string | string[] | undefined): number | Problem => {
  if (header === undefined) return 0
  for (const preference of String(header).split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2)
    if (name.trim().toLowerCase() !== 'wait') continue
    const text = value.trim().replace(/^"(.*)"$/, '$1')
    const seconds = /^\d{1,15}$/.test(text) ? Number(text) : 0
    if (seconds < 1) return badRequest('Prefer: wait is not a whole number of seconds, at least 1')
    return Math.min(seconds, MAX_WAIT)
  }
  return 0
}

const shown = (header: string | undefined): string => JSON.stringify((header ?? '').slice(0, 80))
