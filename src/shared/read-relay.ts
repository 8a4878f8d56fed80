// Reads and checks what somebody wrote as a relay: the option `relay`, or the flags of `supervisor relay`, which make the
// same of theirs. One upstream: src/shared/read-relay-upstream.ts.

import { isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { findGroup } from './find-group.js'
import { invalidOption, readDuration, readWholeNumber } from './option-values.js'
import { readUpstreams } from './read-relay-upstream.js'
import { checkKeys, type RawRelay, type RelayContext } from './relay-context.js'
import { RELAY_VARIABLE, type RelayListen, type RelaySettings } from './relay-settings.js'
import { defaultRelaySocket } from './relay-socket.js'
import { readSecretFile } from './secret-file.js'
import { defaultSpoolFolder } from './spool-folder.js'

const RELAY_KEYS = [
  'to',
  'listen',
  'group',
  'spool',
  'tokenFile',
  'workers',
  'maxConnections',
  'dedupeWindow',
  'dedupeMessages',
  'ownerTimeout',
] as const

const MAX_RELAYS = 64
const MAX_CONNECTIONS = 1_024
const DEDUPE_WINDOW = 10 * 60_000
const DEDUPE_MESSAGES = 100_000
const OWNER_TIMEOUT = 10_000
const MAX_LISTEN = 8
/** 128 bit, in the densest alphabet that is usual. */
const MIN_TOKEN = 16
const MAX_TOKEN = 4_096
/** What the kernel takes as one variable is 128 KiB. */
const MAX_VARIABLE = 100 * 1024
/** What sun_path holds on Linux, less the NUL. On macOS and the BSDs it is 103. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103

/** @throws FORKSAFE_ERR_OPTION_INVALID, _OPTION_UNKNOWN: one line each, which names field and remedy, and shows no secret. */
export const readRelay = (raw: RawRelay, context: RelayContext): RelaySettings => {
  const { field, folder, name, env } = context
  checkKeys(raw, RELAY_KEYS, '', field)
  const number = (key: string, fallback: number, min: number, max: number): number =>
    raw[key] === undefined ? fallback : readWholeNumber(min, max)(field(key), raw[key], 'value')
  const time = (key: string, fallback: number, min: number): number =>
    raw[key] === undefined ? fallback : readDuration({ min })(field(key), raw[key], 'value')
  const token = tokenOf(raw.tokenFile, context)
  const listen = listenOf(raw.listen, context)
  if (token === null && listen.some(({ kind }) => kind === 'tcp')) {
    throw invalidOption(
      field('listen'),
      listen.flatMap((each) => (each.kind === 'tcp' ? [`${each.host}:${each.port}`] : [])).join(' '),
      `is open to every user of this machine: name a file with a token (${field('tokenFile')}), or listen on unix:PATH`,
    )
  }
  const settings: RelaySettings = {
    name,
    workers: context.workers ?? number('workers', 1, 1, MAX_RELAYS),
    listen,
    group: groupOf(raw.group, field('group')),
    spool: spoolOf(raw.spool, field('spool'), folder) ?? defaultSpoolFolder(name, env),
    token,
    maxConnections: number('maxConnections', MAX_CONNECTIONS, 1, 100_000),
    dedupeWindow: time('dedupeWindow', DEDUPE_WINDOW, 0),
    dedupeMessages: number('dedupeMessages', DEDUPE_MESSAGES, 0, 10_000_000),
    ownerTimeout: time('ownerTimeout', OWNER_TIMEOUT, 100),
    to: readUpstreams(raw.to, context),
  }
  const bytes = Buffer.byteLength(JSON.stringify(settings))
  if (bytes > MAX_VARIABLE) {
    throw invalidOption(
      field(''),
      `${bytes} bytes`,
      `are more than ${RELAY_VARIABLE} of a worker can hold (${MAX_VARIABLE}); use fewer upstreams or shorter headers`,
    )
  }
  return settings
}

const listenOf = (raw: unknown, { field, folder, name, env }: RelayContext): RelayListen[] => {
  if (raw === undefined) return [{ kind: 'unix', path: defaultRelaySocket(name, env) }]
  const texts: unknown[] = Array.isArray(raw) ? raw : [raw]
  if (texts.length === 0 || texts.length > MAX_LISTEN)
    throw invalidOption(field('listen'), texts.length, `addresses; write 1 to ${MAX_LISTEN}`)
  const listen = texts.map((text) => addressOf(field('listen'), text, folder))
  const seen = new Set<string>()
  for (const each of listen) {
    const key = each.kind === 'unix' ? each.path : String(each.port)
    if (seen.has(key)) throw invalidOption(field('listen'), key, 'stands there twice; remove one')
    seen.add(key)
  }
  return listen
}

const addressOf = (field: string, raw: unknown, folder: string): RelayListen => {
  if (typeof raw !== 'string')
    throw invalidOption(field, raw, "is no address to listen on; write 'unix:PATH' or '127.0.0.1:PORT'")
  if (raw.startsWith('unix:')) return { kind: 'unix', path: socketPath(field, raw, folder) }
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]*)\]|([^:/[\]]*)):(.*)$/.exec(raw) ?? []
  const host = bracketed ?? plain
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)))
    throw invalidOption(field, raw, 'is no address to listen on; write unix:PATH or 127.0.0.1:PORT')
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  if (port < 1 || port > 65_535)
    throw invalidOption(field, raw, 'has no port from 1 to 65535; write 127.0.0.1:8090')
  if (host !== '127.0.0.1' && host !== '::1' && host !== 'localhost') {
    throw invalidOption(
      field,
      raw,
      `would be open to other machines: a relay listens on 127.0.0.1, [::1] or localhost; write 127.0.0.1:${port}`,
    )
  }
  return { kind: 'tcp', host, port }
}

const socketPath = (field: string, raw: string, folder: string): string => {
  const given = raw.slice('unix:'.length)
  if (given === '' || given.includes('\0') || given.endsWith('/'))
    throw invalidOption(field, raw, 'names no file; write unix:/run/NAME/relay.sock')
  const path = resolve(folder, given)
  const length = Buffer.byteLength(path)
  if (length > MAX_SOCKET_PATH) {
    throw invalidOption(
      field,
      raw,
      `is ${length} bytes long and a socket's path may be ${MAX_SOCKET_PATH}; choose a shorter one`,
    )
  }
  return path
}

const groupOf = (raw: unknown, field: string): RelaySettings['group'] => {
  if (raw === undefined) return null
  const text = typeof raw === 'number' ? String(raw) : raw
  const group = typeof text === 'string' ? findGroup(text) : null
  if (group === null)
    throw invalidOption(field, raw, 'is not a group of /etc/group; write the name of one, or its number')
  const mine = [process.getgid?.(), ...(process.getgroups?.() ?? [])]
  if (process.getuid?.() !== 0 && !mine.includes(group.gid)) {
    throw invalidOption(
      field,
      raw,
      'is a group that this user does not belong to; add it with usermod -aG, or run as root',
    )
  }
  return group
}

const spoolOf = (raw: unknown, field: string, folder: string): string | undefined => {
  if (raw === undefined) return undefined
  if (typeof raw !== 'string' || raw.trim() === '' || raw.includes('\0'))
    throw invalidOption(field, raw, 'is not a path; write the path of a folder')
  return resolve(folder, raw)
}

const tokenOf = (raw: unknown, { field, folder }: RelayContext): string | null => {
  if (raw === undefined) return null
  const name = field('tokenFile')
  if (typeof raw !== 'string' || raw.trim() === '' || raw.includes('\0'))
    throw invalidOption(name, raw, 'is not a path; write the path of a file')
  const token = readSecretFile(name, raw, { folder, groupMayRead: true })
  // It stands in a header, and is not shown.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw invalidOption(name, raw, 'holds more than one word of printable ASCII; write one token into it')
  if (token.length < MIN_TOKEN || token.length > MAX_TOKEN) {
    throw invalidOption(
      name,
      raw,
      `holds a token of ${token.length} characters; write ${MIN_TOKEN} to ${MAX_TOKEN}, such as of openssl rand -hex 32`,
    )
  }
  return token
}
