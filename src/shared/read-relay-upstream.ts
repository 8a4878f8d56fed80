// Reads and checks the upstreams of a relay. The rest of it: src/shared/read-relay.ts.

import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import { errnoOf } from './config-file.js'
import {
  invalidOption,
  isPlainObject,
  isPrototypeKey,
  readChoice,
  readDuration,
  readSize,
  readWholeNumber,
} from './option-values.js'
import { checkKeys, type RawRelay, type RelayContext } from './relay-context.js'
import type { RelayUpstream } from './relay-settings.js'
import { readSecretFile } from './secret-file.js'

const UPSTREAM_KEYS = [
  'url',
  'protocols',
  'headers',
  'headerFile',
  'tls',
  'receipts',
  'identity',
  'maxMessages',
  'maxBytes',
  'maxAge',
  'maxMessage',
  'maxAttempts',
]
const TLS_KEYS = ['ca', 'cert', 'key', 'servername']

const MAX_UPSTREAMS = 64
const MIB = 1024 ** 2
const MAX_MESSAGES = 1_000_000
const MAX_BYTES = 1024 * MIB
const MAX_AGE = 24 * 3_600_000
const MAX_MESSAGE = MIB
/** Bodies are held in memory as a whole. */
const LARGEST_MESSAGE = 16 * MIB
const MAX_ATTEMPTS = 3

export const readUpstreams = (raw: unknown, context: RelayContext): RelayUpstream[] => {
  const { field } = context
  if (!isPlainObject(raw) || Object.keys(raw).length === 0)
    throw invalidOption(
      field('to'),
      raw === undefined ? 'nothing' : shape(raw),
      "names no upstream; write { NAME: 'wss://host/path' }",
    )
  const entries = Object.entries(raw)
  if (entries.length > MAX_UPSTREAMS)
    throw invalidOption(field('to'), entries.length, `upstreams are more than the ${MAX_UPSTREAMS} allowed`)
  const upstreams = entries.map(([name, value]) => readUpstream(name, value, context))
  for (const [index, { name, identity }] of upstreams.entries()) {
    const earlier = upstreams.slice(0, index)
    // Each is a folder of the spool, and there are file systems that take both for one.
    const alike = earlier.find((other) => other.name.toLowerCase() === name.toLowerCase())
    if (alike !== undefined)
      throw invalidOption(field('to'), name, `differs from ${alike.name} by case alone; rename one of them`)
    const twin = earlier.find((other) => other.identity === identity)
    if (twin !== undefined)
      throw invalidOption(
        field(`to.${name}.identity`),
        identity,
        `is that of ${twin.name} too; choose another`,
      )
  }
  return upstreams
}

/** Never the value itself, which may hold a secret. */
const shape = (raw: unknown): string => (Array.isArray(raw) ? 'a list' : `a ${typeof raw}`)

const readUpstream = (name: string, raw: unknown, context: RelayContext): RelayUpstream => {
  const at = (key: string): string => context.field(`to.${name}.${key}`)
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) || isPrototypeKey(name)) {
    throw invalidOption(
      context.field('to'),
      name,
      'is not a name of an upstream; use 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit',
    )
  }
  const given: RawRelay = typeof raw === 'string' ? { url: raw } : isPlainObject(raw) ? raw : {}
  if (typeof raw !== 'string' && !isPlainObject(raw))
    throw invalidOption(context.field(`to.${name}`), shape(raw), "is no upstream; write 'wss://host/path'")
  checkKeys(given, UPSTREAM_KEYS, `to.${name}`, context.field)
  const number = (key: string, fallback: number, min: number, max: number): number =>
    given[key] === undefined ? fallback : readWholeNumber(min, max)(at(key), given[key], 'value')
  const size = (key: string, fallback: number, min: number): number =>
    given[key] === undefined ? fallback : readSize(min)(at(key), given[key], 'value')
  const maxMessage = size('maxMessage', MAX_MESSAGE, 1)
  if (maxMessage > LARGEST_MESSAGE)
    throw invalidOption(at('maxMessage'), given.maxMessage, 'is more than the 16M allowed')
  const maxBytes = size('maxBytes', MAX_BYTES, MIB)
  if (maxBytes < 2 * maxMessage) {
    throw invalidOption(
      at('maxBytes'),
      given.maxBytes ?? maxBytes,
      `is too little for messages of ${maxMessage} bytes; use at least twice that, or lower maxMessage`,
    )
  }
  return {
    name,
    url: urlOf(at('url'), given.url),
    protocols: protocolsOf(at('protocols'), given.protocols),
    headers: {
      ...headersInFile(at('headerFile'), given.headerFile, context.folder),
      ...headersOf(at('headers'), given.headers),
    },
    tls: tlsOf(given.tls, (key) => context.field(`to.${name}.tls${key === '' ? '' : `.${key}`}`), context),
    receipts:
      given.receipts === undefined
        ? 'auto'
        : readChoice('auto', 'require', 'off')(at('receipts'), given.receipts, 'value'),
    identity: identityOf(at('identity'), given.identity) ?? `relay ${context.name}/${name}`,
    maxMessages: number('maxMessages', MAX_MESSAGES, 1, 100_000_000),
    maxBytes,
    maxAge:
      given.maxAge === undefined
        ? MAX_AGE
        : readDuration({ min: 1_000 })(at('maxAge'), given.maxAge, 'value'),
    maxMessage,
    maxAttempts: number('maxAttempts', MAX_ATTEMPTS, 1, 100),
  }
}

/** A URL may hold a secret anywhere: of a wrong one no more than its scheme is shown. */
const urlOf = (field: string, raw: unknown): string => {
  const wrong = (value: unknown, why: string) => invalidOption(field, value, why)
  if (typeof raw !== 'string' || raw.trim() === '')
    throw wrong(raw === undefined ? 'nothing' : shape(raw), "is not a URL; write 'wss://host/path'")
  // The parser takes line ends out, and whoever wrote one meant something else.
  if (/[^\x21-\x7e\x80-\u{10ffff}]/u.test(raw))
    throw wrong('(not shown)', 'holds a space or a control character; remove it')
  if (!/^wss?:\/\//i.test(raw)) {
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(raw)?.[0] ?? '(not shown)'
    throw wrong(scheme, 'is not a WebSocket URL; write wss://host/path, or ws:// where nobody can listen in')
  }
  let url: URL
  try {
    url = new URL(raw)
  } catch {
    throw wrong('(not shown)', 'is not a URL; write wss://host/path')
  }
  if (url.username !== '' || url.password !== '')
    throw wrong('(not shown)', 'holds a user or password; put it into a header, from a file (headerFile)')
  if (url.hash !== '' || raw.includes('#'))
    throw wrong('(not shown)', 'holds a fragment (#), which a WebSocket URL must not have; remove it')
  return url.href
}

const protocolsOf = (field: string, raw: unknown): string[] => {
  if (raw === undefined) return []
  const list: unknown[] = Array.isArray(raw) ? raw : [raw]
  return list.map((each, index) => {
    if (typeof each !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(each))
      throw invalidOption(field, each, 'is not a subprotocol; write a word such as graphql-transport-ws')
    if (list.indexOf(each) !== index) throw invalidOption(field, each, 'stands there twice; remove one')
    return each
  })
}

const headersOf = (field: string, raw: unknown): Record<string, string> => {
  if (raw === undefined) return {}
  if (!isPlainObject(raw)) throw invalidOption(field, shape(raw), "is no object; write { 'X-Name': 'value' }")
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => header(field, name, value)))
}

/** Set for the handshake; another value would break it. */
const OF_THE_HANDSHAKE = /^(connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/i

const header = (field: string, name: string, value: unknown): [string, string] => {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || isPrototypeKey(name))
    throw invalidOption(field, name, 'is not a name of a header; use letters, digits and dashes')
  if (OF_THE_HANDSHAKE.test(name))
    throw invalidOption(field, name, 'belongs to the handshake itself; remove it')
  // It may be a secret and is not shown. Allowed are tab and what Latin-1 prints (RFC 9110 section 5.5).
  if (typeof value !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(value))
    throw invalidOption(
      field,
      name,
      'has a value with characters that a header must not hold, such as a line end; use printable Latin-1',
    )
  return [name, value]
}

/** Lines of `Name: value`; empty ones and those that begin with # are passed over. */
const headersInFile = (field: string, raw: unknown, folder: string): Record<string, string> => {
  if (raw === undefined) return {}
  const file = textOfPath(field, raw)
  const lines = readSecretFile(field, file, { folder, groupMayRead: false }).split(/\r?\n/)
  return Object.fromEntries(
    lines.flatMap((line, index) => {
      if (line.trim() === '' || line.startsWith('#')) return []
      const [, name, value] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
      if (name === undefined || value === undefined)
        throw invalidOption(field, `${file}:${index + 1}`, "is not a header; write lines of 'Name: value'")
      return [header(`${field}, line ${index + 1}`, name, value)]
    }),
  )
}

const tlsOf = (
  raw: unknown,
  field: (key: string) => string,
  { folder, field: at }: RelayContext,
): RelayUpstream['tls'] => {
  if (raw === undefined) return {}
  if (!isPlainObject(raw)) throw invalidOption(field(''), shape(raw), "is no object; write { ca: 'ca.pem' }")
  checkKeys(raw, TLS_KEYS, '', (path) => (path === '' ? field('') : at(path)))
  const files = Object.fromEntries(
    ['ca', 'cert', 'key'].flatMap((key) =>
      raw[key] === undefined ? [] : [[key, readableFile(field(key), raw[key], folder)]],
    ),
  )
  if ((files.cert === undefined) !== (files.key === undefined))
    throw invalidOption(
      field(''),
      files.cert === undefined ? 'key' : 'cert',
      'stands alone; name cert and key',
    )
  const { servername } = raw
  if (servername === undefined) return files
  if (typeof servername !== 'string' || !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(servername))
    throw invalidOption(field('servername'), servername, 'is not a name of a host')
  return { ...files, servername }
}

const readableFile = (field: string, raw: unknown, folder: string): string => {
  const text = textOfPath(field, raw)
  const path = resolve(folder, text)
  try {
    accessSync(path, constants.R_OK)
    return path
  } catch (error) {
    const errno = errnoOf(error)
    const remedy = errno === 'ENOENT' ? 'there is no such file' : 'give this user the right to read it'
    throw invalidOption(field, text, `cannot be read (${errno}); ${remedy}`)
  }
}

const textOfPath = (field: string, raw: unknown): string => {
  if (typeof raw !== 'string' || raw.trim() === '' || raw.includes('\0'))
    throw invalidOption(field, raw, 'is not a path; write the path of a file')
  return raw
}

const identityOf = (field: string, raw: unknown): string | undefined => {
  if (raw === undefined) return undefined
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (typeof raw !== 'string' || !/^[^\x00-\x1f\x7f]{1,200}$/.test(raw))
    throw invalidOption(field, raw, 'is not a text of 1 to 200 characters without control characters')
  return raw
}
