// What publish() and publishBatch() take, checked at the door: the request that it becomes. How it travels: exchange.ts.

import { randomUUID } from 'node:crypto'
import { type Duration, parseDuration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { findRelay, type RelayTarget } from './find-relay.js'

/** Text becomes a text frame at the upstream, bytes a binary one. */
export type Message = string | Uint8Array

export interface CallOptions {
  /** Name of the relay (`--name` of its supervisor). Default: `$FORKSAFE_RELAY`, else `relay`. */
  name?: string
  /** Absolute path of its socket, or `http://127.0.0.1:PORT` with `$FORKSAFE_RELAY_TOKEN`; goes before `name`. */
  socket?: string
  /**
   * Until the relay has taken it, with new attempts where it is not there (a restart) or has no room. Default 10 s.
   * `wait` comes on top.
   */
  timeout?: Duration
  signal?: AbortSignal
}

export interface MessageOptions {
  /**
   * By which a repetition is known: 1 to 128 printable ASCII characters without space. Give one that a later run of the
   * same job would give again, and the job may run twice. Default: a new one.
   */
  id?: string
  /** How long it is of use; what could not be sent by then is not sent. Whole seconds, rounded up. Default: for ever. */
  ttl?: Duration
  /** What it keeps its order with: 1 to 128 printable ASCII characters without space. */
  key?: string
}

export interface PublishOptions extends CallOptions, MessageOptions {
  /** How long to wait for the proof that it has arrived, at most 5 min. Default: not at all. */
  wait?: Duration
  /** Text as a binary frame too. Default: bytes are binary, text is not. */
  binary?: boolean
}

export interface BatchMessage extends MessageOptions {
  data: Message
}

/** A request to the relay, ready to be sent as often as need be. */
export interface RelayRequest {
  target: RelayTarget
  path: string
  headers: Record<string, string>
  body: Buffer
  /** ms for all attempts together. */
  timeout: number
  signal: AbortSignal | undefined
  /** Of the message; null for a batch. */
  id: string | null
}

const DEFAULT_TIMEOUT = 10_000
const MAX_WAIT = 300_000
const CLIENT = /^[A-Za-z0-9._-]{1,64}$/
const PRINTABLE = /^[!-~]{1,128}$/

export const messageRequest = (client: string, message: Message, options: PublishOptions): RelayRequest => {
  const { target, timeout, signal } = readCall(client, options)
  const body = bytesOf('message', message)
  const id = options.id === undefined ? randomUUID() : readName('id', options.id)
  const isBinary = options.binary ?? typeof message !== 'string'
  const headers: Record<string, string> = {
    'Content-Type': isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    'Idempotency-Key': id,
  }
  if (options.ttl !== undefined) headers.TTL = String(seconds('ttl', options.ttl))
  if (options.key !== undefined) headers['Ordering-Key'] = readName('key', options.key)
  if (options.wait === undefined) return { target, path: `/v1/${client}`, headers, body, timeout, signal, id }
  const wait = seconds('wait', options.wait, MAX_WAIT)
  headers.Prefer = `wait=${wait}`
  return { target, path: `/v1/${client}`, headers, body, timeout: timeout + wait * 1_000, signal, id }
}

/** Each message gets its id here, so that all of it may be sent again. */
export const batchRequest = (
  client: string,
  messages: readonly (Message | BatchMessage)[],
  options: CallOptions,
): RelayRequest => {
  const { target, timeout, signal } = readCall(client, options)
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalid('messages', 'is not a list of messages; give at least one')
  }
  const body = Buffer.from(messages.map(lineOf).join(''), 'utf8')
  const headers = { 'Content-Type': 'application/x-ndjson' }
  return { target, path: `/v1/${client}/batch`, headers, body, timeout, signal, id: null }
}

const lineOf = (message: Message | BatchMessage, index: number): string => {
  const field = `messages[${index}]`
  const { data, id, ttl, key } = isBare(message) ? { data: message } : message
  const bytes = bytesOf(field, data)
  const line = {
    ...(typeof data === 'string' ? { data } : { base64: bytes.toString('base64') }),
    id: id === undefined ? randomUUID() : readName(`${field}.id`, id),
    ...(ttl === undefined ? {} : { ttl: seconds(`${field}.ttl`, ttl) }),
    ...(key === undefined ? {} : { key: readName(`${field}.key`, key) }),
  }
  return `${JSON.stringify(line)}\n`
}

const isBare = (message: Message | BatchMessage): message is Message =>
  typeof message !== 'object' || message === null || message instanceof Uint8Array

const readCall = (
  client: string,
  options: CallOptions,
): Pick<RelayRequest, 'target' | 'timeout' | 'signal'> => {
  if (typeof client !== 'string' || !CLIENT.test(client)) {
    throw invalid(
      'client',
      'is not the name of a client; use 1 to 64 letters, digits, dots, dashes or underscores',
    )
  }
  return {
    target: findRelay({ name: options.name, socket: options.socket, env: process.env }),
    timeout: duration('timeout', options.timeout ?? DEFAULT_TIMEOUT, 1),
    signal: options.signal,
  }
}

const bytesOf = (field: string, message: unknown): Buffer => {
  const bytes =
    typeof message === 'string'
      ? Buffer.from(message, 'utf8')
      : message instanceof Uint8Array
        ? Buffer.from(message.buffer, message.byteOffset, message.byteLength)
        : null
  if (bytes === null)
    throw invalid(field, 'is neither a text nor bytes; give JSON.stringify(value) or a Buffer')
  if (bytes.length === 0) throw invalid(field, 'is empty')
  return bytes
}

const readName = (field: string, value: unknown): string => {
  if (typeof value === 'string' && PRINTABLE.test(value)) return value
  throw invalid(field, 'is not 1 to 128 printable ASCII characters without space')
}

const seconds = (field: string, value: Duration, max?: number): number =>
  Math.ceil(duration(field, value, 1, max) / 1_000)

const duration = (field: string, value: Duration, min: number, max?: number): number => {
  try {
    return parseDuration(field, value, max === undefined ? { min } : { min, max })
  } catch (error) {
    throw new ForksafeError(
      'FORKSAFE_ERR_RELAY_OPTIONS',
      error instanceof Error ? error.message : String(error),
      {
        details: { field },
      },
    )
  }
}

const invalid = (field: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RELAY_OPTIONS', `publish(): ${field} ${why}`, { details: { field } })
