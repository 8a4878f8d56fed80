// What may be written as a relay, what becomes of it, and what is said of mistakes.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ForksafeError } from '../../src/shared/errors.js'
import { findGroup } from '../../src/shared/find-group.js'
import { readRelay } from '../../src/shared/read-relay.js'
import type { RawRelay } from '../../src/shared/relay-context.js'
import { relaySecrets, relayVariables, shownRelay } from '../../src/shared/relay-role.js'
import { resolveSettings } from '../../src/shared/resolve-settings.js'
import { socketFolder } from '../control/socket-folder.js'
import { shortFolder } from '../support/relay-parts.js'

const TOKEN = 'abcdefgh12345678abcdefgh'

const read = (raw: RawRelay, folder = '/srv/app', workers?: number) =>
  readRelay(raw, {
    field: (path) => `relay${path === '' ? '' : `.${path}`}`,
    folder,
    name: 'feed',
    env: { HOME: '/home/ann', XDG_RUNTIME_DIR: '/run/user/7', XDG_STATE_HOME: '/home/ann/state' },
    ...(workers === undefined ? {} : { workers }),
  })

const refusal = (raw: RawRelay, folder?: string): string => {
  try {
    read(raw, folder)
  } catch (error) {
    if (!(error instanceof ForksafeError)) throw error
    if (!/^FORKSAFE_ERR_OPTION_(INVALID|UNKNOWN)$/.test(error.code)) throw error
    if (error.message.includes('\n')) throw new Error('more than a line')
    return error.message
  }
  return 'accepted'
}

const TO = { feed: 'wss://feed.example/in' }

t.test('an upstream is enough: the rest has defaults', async (t) => {
  const settings = read({ to: TO })
  t.match(settings, { name: 'feed', workers: 1, group: null, token: null, maxConnections: 1_024 })
  t.match(settings, { dedupeWindow: 600_000, dedupeMessages: 100_000, ownerTimeout: 10_000 })
  t.same(settings.to, [
    {
      name: 'feed',
      url: 'wss://feed.example/in',
      protocols: [],
      headers: {},
      tls: {},
      receipts: 'auto',
      identity: 'relay feed/feed',
      maxMessages: 1_000_000,
      maxBytes: 1024 ** 3,
      maxAge: 86_400_000,
      maxMessage: 1024 ** 2,
      maxAttempts: 3,
    },
  ])
  const [listen] = settings.listen
  t.match(listen, { kind: 'unix', path: /forksafe-relay\/feed\.sock$/ })
  t.match(settings.spool, /forksafe-relay\/feed$/)
  t.equal(read({ to: TO, workers: 3 }).workers, 3)
  t.equal(read({ to: TO, workers: 3 }, '/srv', 5).workers, 5, 'alone it has as many as there are')
})

t.test('everything can be said', async (t) => {
  const folder = socketFolder(t)
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`)
  writeFileSync(join(folder, 'headers'), '# of ours\nAuthorization: Bearer from-a-file\n\n')
  writeFileSync(join(folder, 'ca.pem'), '')
  for (const file of ['token', 'headers']) chmodSync(join(folder, file), 0o600)
  const settings = read(
    {
      to: {
        'a.b_c-1': {
          url: 'ws://[::1]:8080/x?key=secret-in-url',
          protocols: 'graphql-transport-ws',
          headers: { 'X-Two': 'second-secret' },
          headerFile: 'headers',
          tls: { ca: 'ca.pem', servername: 'feed.example' },
          receipts: 'require',
          identity: 'mine',
          maxMessages: 10,
          maxBytes: '64M',
          maxAge: '1h',
          maxMessage: '2M',
          maxAttempts: 1,
        },
      },
      listen: ['unix:run/relay.sock', '127.0.0.1:8090', '[::1]:8091'],
      group: 0,
      spool: 'spool',
      tokenFile: 'token',
      maxConnections: 5,
      dedupeWindow: 0,
      dedupeMessages: 0,
      ownerTimeout: '1s',
    },
    folder,
  )
  t.same(settings.listen, [
    { kind: 'unix', path: join(folder, 'run/relay.sock') },
    { kind: 'tcp', host: '127.0.0.1', port: 8_090 },
    { kind: 'tcp', host: '::1', port: 8_091 },
  ])
  t.match(settings, { group: { gid: 0 }, spool: join(folder, 'spool'), token: TOKEN, ownerTimeout: 1_000 })
  t.match(settings.to[0], {
    headers: { Authorization: 'Bearer from-a-file', 'X-Two': 'second-secret' },
    tls: { ca: join(folder, 'ca.pem'), servername: 'feed.example' },
    protocols: ['graphql-transport-ws'],
    maxBytes: 64 * 1024 ** 2,
  })
  const secrets = [TOKEN, 'from-a-file', 'second-secret', 'secret-in-url']
  for (const secret of secrets) {
    t.ok(relaySecrets(settings).includes(secret), `${secret} is known as one`)
    t.notMatch(JSON.stringify(shownRelay(settings)), secret)
  }
  t.match(shownRelay(settings).to[0]?.headers, { Authorization: '(hidden)' })
  t.same(relayVariables(settings), { FORKSAFE_RELAY: join(folder, 'run/relay.sock') })
  const tcp = { ...settings, listen: settings.listen.slice(2) }
  t.same(relayVariables(tcp), { FORKSAFE_RELAY: 'http://[::1]:8091', FORKSAFE_RELAY_TOKEN: TOKEN })
})

const url = (value: unknown): RawRelay => ({ to: { feed: { url: value } } })
const headers = (value: unknown): RawRelay => ({ to: { feed: { url: 'ws://h', headers: value } } })
const listen = (value: unknown): RawRelay => ({ to: TO, listen: value })

const mistakes: [raw: RawRelay, message: RegExp][] = [
  [{}, /^relay\.to: "nothing" names no upstream; write/],
  [{ to: {} }, /^relay\.to: .* names no upstream/],
  [{ to: 'wss://h?key=hidden' }, /^relay\.to: "a string" names no upstream/],
  [{ to: TO, lissten: 1 }, /^relay: "lissten" is not a setting of it; did you mean listen\?$/],
  [{ to: { feed: { url: 'ws://h', maxage: 1 } } }, /^relay\.to\.feed: "maxage" .* did you mean maxAge\?$/],
  [{ to: { '../x': 'ws://h' } }, /^relay\.to: "\.\.\/x" is not a name of an upstream/],
  [{ to: { '.': 'ws://h' } }, /is not a name of an upstream/],
  [{ to: JSON.parse('{"__proto__":"ws://h"}') }, /is not a name of an upstream/],
  [{ to: { constructor: 'ws://h' } }, /is not a name of an upstream/],
  [{ to: { feed: 'ws://h', Feed: 'ws://h' } }, /^relay\.to: "Feed" differs from feed by case alone/],
  [
    { to: { a: { url: 'ws://h', identity: 'x' }, b: { url: 'ws://h', identity: 'x' } } },
    /^relay\.to\.b\.identity: "x" is that of a too/,
  ],
  [{ to: { feed: 7 } }, /^relay\.to\.feed: "a number" is no upstream/],
  [url(undefined), /^relay\.to\.feed\.url: "nothing" is not a URL/],
  [url('http://feed.example'), /^relay\.to\.feed\.url: "http:" is not a WebSocket URL; write wss:/],
  [url('file:///etc/passwd'), /"file:" is not a WebSocket URL/],
  [url('feed.example'), /"\(not shown\)" is not a WebSocket URL/],
  [url('wss://'), /is not a URL/],
  [
    url('wss://ann:hidden-word@h/'),
    /^relay\.to\.feed\.url: "\(not shown\)" holds a user or password; put it into a header/,
  ],
  [url('wss://hidden-word@h/'), /holds a user or password/],
  [url('wss://h/#part'), /holds a fragment/],
  [url('wss://h/#'), /holds a fragment/],
  [url('wss://h/a\r\nX: 1'), /holds a space or a control character/],
  [url('wss://h/a b'), /holds a space/],
  [headers('X: 1'), /^relay\.to\.feed\.headers: "a string" is no object/],
  [headers({ 'X\r\nY': '1' }), /"X\\r\\nY" is not a name of a header/],
  [headers({ X: 'hidden-word\r\nY: 2' }), /^relay\.to\.feed\.headers: "X" has a value with characters/],
  [headers({ X: 'hidden-word\0' }), /"X" has a value with characters/],
  [headers({ X: 'hidden-word€' }), /"X" has a value with characters/],
  [headers({ X: 1 }), /"X" has a value with characters/],
  [headers({ Connection: 'close' }), /"Connection" belongs to the handshake/],
  [{ to: { feed: { url: 'ws://h', protocols: ['a', 'a'] } } }, /"a" stands there twice/],
  [{ to: { feed: { url: 'ws://h', protocols: ['a b'] } } }, /"a b" is not a subprotocol/],
  [{ to: { feed: { url: 'ws://h', receipts: 'yes' } } }, /"yes" is not one of auto, require, off/],
  [
    { to: { feed: { url: 'ws://h', maxMessages: 0 } } },
    /maxMessages: 0 is not allowed; use a whole number from 1/,
  ],
  [{ to: { feed: { url: 'ws://h', maxAge: 'soon' } } }, /maxAge: "soon" is not a duration/],
  [{ to: { feed: { url: 'ws://h', maxMessage: '17M' } } }, /maxMessage: "17M" is more than the 16M/],
  [
    { to: { feed: { url: 'ws://h', maxBytes: '1M' } } },
    /maxBytes: "1M" is too little for messages of 1048576 bytes/,
  ],
  [{ to: { feed: { url: 'ws://h', identity: 'a\nb' } } }, /identity: "a\\nb" is not a text of 1 to 200/],
  [
    { to: { feed: { url: 'ws://h', tls: { cert: 'c' } } } },
    /tls\.cert: "c" cannot be read \(ENOENT\); there is no such file/,
  ],
  [
    { to: { feed: { url: 'ws://h', tls: { cert: '/dev/null' } } } },
    /tls: "cert" stands alone; name cert and key/,
  ],
  [{ to: { feed: { url: 'ws://h', tls: { pfx: 'c' } } } }, /tls: "pfx" is not a setting of it/],
  [listen('0.0.0.0:8090'), /^relay\.listen: "0\.0\.0\.0:8090" would be open to other machines/],
  [listen('8090'), /is no address to listen on/],
  [listen('127.0.0.1:0'), /has no port from 1 to 65535/],
  [listen('127.0.0.1:65536'), /has no port from 1 to 65535/],
  [listen('127.0.0.1:80abc'), /has no port from 1 to 65535/],
  [listen('[::1:80'), /is no address to listen on/],
  [
    listen('127.0.0.1:8090'),
    /^relay\.listen: "127\.0\.0\.1:8090" is open to every user .* \(relay\.tokenFile\)/,
  ],
  [listen('unix:'), /names no file/],
  [listen('unix:run/'), /names no file/],
  [listen(`unix:/${'x'.repeat(107)}`), /is 108 bytes long and a socket's path may be 107/],
  [listen([]), /^relay\.listen: 0 addresses; write 1 to 8/],
  [listen(['unix:a', 'unix:./a']), /stands there twice/],
  [listen(7), /^relay\.listen: 7 is no address/],
  [{ to: TO, group: 'no-such-group' }, /^relay\.group: "no-such-group" is not a group of \/etc\/group/],
  [{ to: TO, workers: 0 }, /^relay\.workers: 0 is not allowed; use a whole number from 1 to 64/],
  [{ to: TO, spool: '' }, /^relay\.spool: "" is not a path/],
  [{ to: TO, maxConnections: '5' }, /^relay\.maxConnections: "5" is not allowed/],
  [{ to: TO, ownerTimeout: 1 }, /^relay\.ownerTimeout: 1 is out of range/],
  [{ to: TO, tokenFile: 7 }, /^relay\.tokenFile: 7 is not a path/],
  [
    { to: { feed: { url: 'ws://h', headers: { X: 'y'.repeat(110_000) } } } },
    /bytes" are more than SUPERVISOR_RELAY/,
  ],
]

for (const [raw, message] of mistakes) {
  t.test(`a mistake is named: ${message.source}`, async (t) => {
    t.match(refusal(raw), message)
    t.notMatch(refusal(raw), /hidden/, 'and no secret is told')
  })
}

t.test('a file of a secret is for its owner alone, and of a token for its group', async (t) => {
  const folder = t.testdir({})
  const write = (text: string, mode: number): void => {
    writeFileSync(join(folder, 'file'), text)
    chmodSync(join(folder, 'file'), mode)
  }
  const ofToken = (): string => refusal({ to: TO, tokenFile: 'file' }, folder)
  const ofHeaders = (): string => refusal({ to: { feed: { url: 'ws://h', headerFile: 'file' } } }, folder)
  t.match(ofToken(), /^relay\.tokenFile: "file" cannot be read \(ENOENT\); there is no such file$/)
  write(`${TOKEN}\n`, 0o644)
  t.match(ofToken(), /can be read or changed by others \(mode 0644\); run chmod 640 /)
  write(TOKEN, 0o640)
  t.equal(ofToken(), 'accepted')
  write('\n', 0o600)
  t.match(ofToken(), /is empty/)
  write('short\n', 0o600)
  t.match(ofToken(), /holds a token of 5 characters; write 16 to 4096/)
  write(`${TOKEN}\n\n`, 0o600)
  t.match(ofToken(), /holds more than one word/)
  write(`${TOKEN} hidden`, 0o600)
  t.match(ofToken(), /holds more than one word of printable ASCII; write one token/)
  write('x'.repeat(65 * 1024), 0o600)
  t.match(ofToken(), /holds more than 65536 bytes/)
  t.match(refusal({ to: TO, tokenFile: '.' }, folder), /is not a regular file/)
  write('X: 1\n', 0o640)
  t.match(ofHeaders(), /^relay\.to\.feed\.headerFile: .* run chmod 600 /)
  write('X: 1\nhidden\n', 0o600)
  t.match(ofHeaders(), /file:2" is not a header; write lines of 'Name: value'$/)
  write('X Y: hidden\n', 0o600)
  t.match(ofHeaders(), /file:1" is not a header/)
  t.notMatch(ofHeaders(), /hidden/)
})

t.test('a group is found by name and by number', async (t) => {
  const file = join(t.testdir({ group: 'root:x:0:\nwww-data:x:33:ann\nodd\n' }), 'group')
  t.same(findGroup('www-data', file), { name: 'www-data', gid: 33 })
  t.same(findGroup('77', file), { name: '77', gid: 77 })
  t.equal(findGroup('odd', file), null)
  t.equal(findGroup('nobody-knows', file), null)
  t.equal(findGroup('root', join(file, 'missing')), null)
})

t.test('in a file its paths are relative to that, and errors name it', async (t) => {
  const cwd = shortFolder(t)
  mkdirSync(join(cwd, 'conf'))
  writeFileSync(join(cwd, 'app.js'), '')
  const config = join(cwd, 'conf/supervisor.config.json')
  const relay = { to: TO, listen: 'unix:r.sock', spool: 'spool', workers: 2 }
  writeFileSync(config, JSON.stringify({ script: '../app.js', name: 'api', relay }))
  const { settings } = await resolveSettings({ flags: { config }, env: {}, cwd })
  t.match(settings.relay, {
    name: 'api',
    workers: 2,
    spool: join(cwd, 'conf/spool'),
    listen: [{ path: join(cwd, 'conf/r.sock') }],
  })
  t.equal(settings.workers, 1)
  writeFileSync(config, JSON.stringify({ script: '../app.js', relay: { to: { feed: 'http://h' } } }))
  await t.rejects(resolveSettings({ flags: { config }, env: {}, cwd }), {
    message: /^relay\.to\.feed\.url in conf\/supervisor\.config\.json: "http:" is not a WebSocket URL/,
  })
  writeFileSync(config, JSON.stringify({ script: '../app.js', relay: 'wss://h' }))
  await t.rejects(resolveSettings({ flags: { config }, env: {}, cwd }), {
    message: /^relay in conf\/supervisor\.config\.json: "a string" is no object/,
  })
})
