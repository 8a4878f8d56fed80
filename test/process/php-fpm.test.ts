// examples/php in PHP-FPM behind nginx, as another user than the relay's: each request's message arrives once, over one
// connection, and what is published while the relay is down is handed in afterwards. What the class does with answers of
// every kind is php-cli.test.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WS } from '../client/stacks/stacks.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { NGINX_FILE, PHP_FPM, PHP_USER, PhpPool } from '../support/php-pool.js'
import { ArrivalLog, RecordingServer } from '../support/recording-server.js'
import { CLI } from '../support/run-cli.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

const CHILDREN = 20
const REQUESTS = 2_000
const AT_ONCE = 40
const WHILE_DOWN = 60
const PHP = '/usr/bin/php8.2'

const needs =
  process.getuid?.() === 0
    ? { ...needsPackage('php8.2-fpm', PHP_FPM), ...needsPackage('nginx-light', NGINX_FILE) }
    : { skip: 'only root can give the pool another user' }

/** Where all is, and the pool's user gets in. */
const openFolder = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-php-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  cpSync('examples/php', join(folder, 'examples'), { recursive: true })
  cpSync('test/process/fixtures/php', join(folder, 'pages'), { recursive: true })
  cpSync('examples/php/finish-request.php', join(folder, 'examples/finish-request.php'))
  mkdirSync(join(folder, 'kept'))
  const { uid, gid } = userOf(PHP_USER)
  chownSync(join(folder, 'kept'), uid, gid)
  return folder
}

/** Debian gives it the same numbers everywhere. */
const userOf = (_name: string): { uid: number; gid: number } => ({ uid: 33, gid: 33 })

const startRelay = async (t: Test, folder: string, upstream: string): Promise<SupervisorProcess> => {
  const listen = `unix:${join(folder, 'forksafe-relay/relay.sock')}`
  const relay = startSupervisor(t, {
    program: [CLI, 'relay', '--to', `feed=${upstream}`, '--listen', listen, '--group', PHP_USER].concat([
      '--spool',
      join(folder, 'spool'),
      '-i',
      '2',
      '--name',
      'relay',
    ]),
    name: 'relay',
  })
  await relay.waitUntilReady()
  return relay
}

/** All of these numbers, so many at once; the bodies of the answers, counted. */
const visit = async (pool: PhpPool, numbers: readonly number[]): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {}
  const left = [...numbers]
  const visitor = async (): Promise<void> => {
    for (let number = left.shift(); number !== undefined; number = left.shift()) {
      const { status, body } = await pool.get(`/publish.php?n=${number}`)
      const what = status === 200 ? body : `${status} ${body}`
      counts[what] = (counts[what] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, visitor))
  return counts
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at)

const timesOf = (log: ArrivalLog): Map<number, number> => {
  const times = new Map<number, number>()
  for (const { number } of log.arrivals) times.set(number, (times.get(number) ?? 0) + 1)
  return times
}

/** As cron runs it: as the pool's user. */
const flush = async (folder: string): Promise<Record<string, unknown>> => {
  const { uid, gid } = userOf(PHP_USER)
  const file = join(folder, 'kept/relay.jsonl')
  const address = `unix://${join(folder, 'forksafe-relay/relay.sock')}`
  const child = spawn(PHP, ['-n', join(folder, 'examples/flush-relay.php'), file, address], {
    uid,
    gid,
    env: cleanEnv(),
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  return JSON.parse(said)
}

t.test(
  `${REQUESTS} requests to ${CHILDREN} children of PHP-FPM, and the relay goes and comes back`,
  needs,
  async (t) => {
    const folder = openFolder(t)
    const log = new ArrivalLog()
    const upstream = await RecordingServer.start(WS.command, log)
    t.teardown(() => upstream.kill())
    const relay = await startRelay(t, folder, upstream.url)
    const pool = await PhpPool.start(t, {
      folder,
      children: CHILDREN,
      pages: join(folder, 'pages'),
      variables: {
        EXAMPLES: join(folder, 'examples'),
        RELAY_ADDRESS: `unix://${join(folder, 'forksafe-relay/relay.sock')}`,
        RELAY_FALLBACK: join(folder, 'kept/relay.jsonl'),
      },
    })

    t.same(await visit(pool, range(0, AT_ONCE * 2)), { queued: AT_ONCE * 2 })
    const before = pool.descriptors()
    t.equal(before.length, CHILDREN)
    t.same(await visit(pool, range(AT_ONCE * 2, REQUESTS - AT_ONCE * 2)), { queued: REQUESTS - AT_ONCE * 2 })
    await log.until(() => log.arrivals.length >= REQUESTS, 'all messages')
    t.same(pool.descriptors(), before, 'no child holds a descriptor more')
    t.equal(timesOf(log).size, REQUESTS)
    t.equal(log.arrivals.length, REQUESTS, 'each arrived once')
    t.equal(new Set(log.arrivals.map(({ connection }) => connection)).size, 1, 'over one connection')
    t.equal(log.closeCodes.size, 0, 'that is still open')
    t.notOk(existsSync(join(folder, 'kept/relay.jsonl')), 'nothing went to the fallback')

    await relay.end()
    t.same(await visit(pool, range(REQUESTS, WHILE_DOWN)), { kept: WHILE_DOWN })
    t.equal(statSync(join(folder, 'kept/relay.jsonl')).mode & 0o777, 0o600)
    t.match(await flush(folder), { handedIn: 0, isDone: false, why: /^no relay at / })
    await startRelay(t, folder, upstream.url)
    const runs = await Promise.all([flush(folder), flush(folder)])
    const handedIn = runs.map((run) => Number(run.handedIn))
    t.equal((handedIn[0] ?? 0) + (handedIn[1] ?? 0), WHILE_DOWN, JSON.stringify(runs))
    await log.until(() => log.arrivals.length >= REQUESTS + WHILE_DOWN, 'what was kept')
    t.match(await flush(folder), { handedIn: 0, isDone: true })
    t.equal(timesOf(log).size, REQUESTS + WHILE_DOWN)
    t.equal(log.arrivals.length, REQUESTS + WHILE_DOWN, 'each arrived once')
  },
)

t.test('a page answers first and publishes after, with the relay and without it', needs, async (t) => {
  const folder = openFolder(t)
  const log = new ArrivalLog()
  const upstream = await RecordingServer.start(WS.command, log)
  t.teardown(() => upstream.kill())
  const kept = join(folder, 'kept/relay.jsonl')
  const pool = await PhpPool.start(t, {
    folder,
    children: 2,
    pages: join(folder, 'examples'),
    variables: {
      RELAY_ADDRESS: `unix://${join(folder, 'forksafe-relay/relay.sock')}`,
      RELAY_FALLBACK: kept,
    },
  })
  t.same(await pool.get('/finish-request.php?order=7'), { status: 200, body: 'Thank you for order 7.\n' })
  await startRelay(t, folder, upstream.url)
  // The second line may be on its way to the file yet: whoever is answered first cannot know.
  await eventually(
    () => flush(folder),
    () => log.arrivals.length >= 2,
    { what: 'both messages of a page whose relay was down' },
  )
  t.same(await pool.get('/finish-request.php?order=8'), { status: 200, body: 'Thank you for order 8.\n' })
  await log.until(() => log.arrivals.length >= 4, 'both messages of a page')
  t.same(
    log.arrivals.map(({ number }) => number),
    [7, 7, 8, 8],
  )
  t.match(await pool.get('/finish-request.php?order=%0A'), { status: 400 })
})
