// supervisor relay: a supervisor whose workers all run a relay, described by flags. It is what `start` makes of a
// configuration that has `relay` and no script; what runs is src/worker/relay-worker.ts.

import { Option } from 'commander'
import { ForksafeError } from '../../shared/errors.js'
import { invalidOption } from '../../shared/option-values.js'
import type { RawRelay } from '../../shared/relay-context.js'
import type { Call, Command } from '../command.js'
import { collect, settingsReader, startOptions } from '../start-settings.js'
import { startAs } from './start.js'

/** Of `start`, what means nothing here: no script is run, and no file describes it. */
const NOT_HERE = new Set([
  'config',
  'cwd',
  'nodeArgs',
  'readiness',
  'requestGuard',
  'forkWindowTimeout',
  'connectRate',
])

/** Of an upstream, by the attribute names of their flags, which are those of the settings. */
const OF_UPSTREAMS = ['maxMessages', 'maxBytes', 'maxAge', 'maxMessage', 'maxAttempts']
const NUMBERS = new Set(['maxMessages', 'maxAttempts', 'maxConnections'])
/** What an upstream is called when nobody named it. */
const DEFAULT_UPSTREAM = 'upstream'

const list = (flags: string, summary: string): Option => new Option(flags, summary).argParser(collect)

const OWN_OPTIONS: readonly Option[] = [
  list('--to <[NAME=]URL>', 'upstream and what callers call it (default name: upstream; repeatable)'),
  list(
    '--listen <address>',
    'unix:PATH, or 127.0.0.1:PORT with --token-file (default: unix socket by the name; repeatable)',
  ),
  new Option('--group <group>', 'who may write to the unix socket beside this user (default: its own group)'),
  new Option('--spool <folder>', 'where messages are kept until they have arrived (default: by the name)'),
  new Option('--token-file <file>', 'file with the token that callers over TCP say (mode 600 or 640)'),
  list(
    '--header-file <[NAME=]file>',
    'file of headers for the upstream, Name: value a line (mode 600; repeatable)',
  ),
  new Option('--max-messages <count>', 'most messages that wait for an upstream (default: 1000000)'),
  new Option('--max-bytes <size>', 'most bytes on disk for an upstream (default: 1G)'),
  new Option('--max-age <time>', 'after which a message that could not be sent is parked (default: 24h)'),
  new Option('--max-message <size>', 'largest message (default: 1M)'),
  new Option(
    '--max-attempts <count>',
    'how often a connection may end with a message before that is parked (default: 3)',
  ),
  new Option('--max-connections <count>', 'open connections to one worker (default: 1024)'),
  new Option('--dedupe-window <time>', 'how long the id of a settled message is remembered (default: 10m)'),
]

export const relayCommand: Command = {
  name: 'relay',
  summary:
    'take messages of short-lived callers (PHP, cron, curl), keep them on disk, forward them over one connection',
  examples: [
    'supervisor relay --to wss://feed.example/in',
    'supervisor relay --to feed=wss://feed.example/in --to audit=wss://audit.example -i 2 --group www-data',
    'supervisor relay --to feed=wss://feed.example/in --listen 127.0.0.1:8090 --token-file /etc/relay/token',
    '',
    'Then, over the socket (status shows where it is):',
    '  curl --unix-socket /run/forksafe-relay/relay.sock http://relay/v1/feed -d hello -H Content-Type:text/plain',
    '',
    'Other settings of an upstream (subprotocols, certificates): relay in a configuration file, which needs no script.',
  ],
  options: [
    ...OWN_OPTIONS,
    ...startOptions().filter((option) => !NOT_HERE.has(option.attributeName())),
    new Option('-d, --detach', 'in the background, in a session of its own, with a rotated log file'),
  ],
  mistake: 78,
  run: (call) => {
    const own = new Set(OWN_OPTIONS.map((option) => option.attributeName()))
    const flags = Object.fromEntries(Object.entries(call.flags).filter(([key]) => !own.has(key)))
    // A script or file of an app that the environment names is not meant.
    const { FORKSAFE_SCRIPT: _script, FORKSAFE_CONFIG: _config, ...env } = call.env
    const described = { raw: relayOf(call.flags), field: fieldOf }
    return startAs(
      call,
      settingsReader({ ...call, flags, env }, () => described),
    )
  },
}

const relayOf = (flags: Call['flags']): RawRelay => {
  const { listen, group, spool, tokenFile, maxConnections, dedupeWindow } = flags
  const given = { listen, group, spool, tokenFile, maxConnections: numberOf(maxConnections), dedupeWindow }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    to: upstreamsOf(flags),
  }
}

const upstreamsOf = (flags: Call['flags']): Record<string, Record<string, unknown>> => {
  const limits = Object.fromEntries(
    OF_UPSTREAMS.flatMap((key) =>
      flags[key] === undefined ? [] : [[key, NUMBERS.has(key) ? numberOf(flags[key]) : flags[key]]],
    ),
  )
  const targets = textsOf(flags.to).map(named)
  if (targets.length === 0)
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      "--to: is missing; write 'supervisor relay --to wss://host/path'",
      { details: { field: '--to' } },
    )
  const files = textsOf(flags.headerFile).map(named)
  const to: Record<string, Record<string, unknown>> = {}
  for (const { name = DEFAULT_UPSTREAM, value: url } of targets) {
    if (Object.hasOwn(to, name))
      throw invalidOption('--to', name, 'names two upstreams; give each a name of its own: --to NAME=URL')
    to[name] = { url, ...limits }
  }
  const [only, ...others] = Object.keys(to)
  for (const { name, value } of files) {
    const target = name ?? (others.length === 0 ? only : undefined)
    const upstream = target !== undefined && Object.hasOwn(to, target) ? to[target] : undefined
    if (upstream === undefined)
      throw invalidOption(
        '--header-file',
        name ?? value,
        `names no upstream; write NAME=FILE with one of ${Object.keys(to).join(', ')}`,
      )
    if (upstream.headerFile !== undefined)
      throw invalidOption(
        '--header-file',
        value,
        'is the second file for the same upstream; put all into one',
      )
    upstream.headerFile = value
  }
  return to
}

/** `NAME=rest`; a URL or a path without a name has other characters before its first `=`. */
const named = (text: string): { name?: string; value: string } => {
  const [, name, value] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.*)$/s.exec(text) ?? []
  return name === undefined || value === undefined ? { value: text } : { name, value }
}

const textsOf = (raw: unknown): string[] =>
  Array.isArray(raw) ? raw.filter((each) => typeof each === 'string') : []

/** What is no number stays as it is, and is refused where it is read. */
const numberOf = (raw: unknown): unknown =>
  typeof raw === 'string' && /^\d{1,12}$/.test(raw.trim()) ? Number(raw) : raw

/** `to.feed.maxAge` as `--max-age`; an upstream itself as `--to`. */
const fieldOf = (path: string): string => {
  const parts = path.split('.')
  if (path === '') return 'relay'
  const key = parts.at(-1) ?? ''
  if (parts[0] === 'to' && (key === 'url' || key === 'identity' || parts.length < 3)) return '--to'
  return `--${key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`
}
