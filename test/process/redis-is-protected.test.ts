// examples/redis with a real redis-server, which is asked who is connected: at a drain the connection ends, around each
// fork of a primary it is closed and opened again, and in the end there are as many as before.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { redisServer } from '../support/redis-server.js'
import { startSupervisor } from '../support/supervisor-process.js'
import { needsPackage, needsTool } from '../support/tools.js'

uninstrumentChildren()

const JUDGE = pathToFileURL(resolve('test/process/fixtures/counts-redis-connections.js')).href
const needs = { ...needsTool('apps'), ...needsPackage('redis-server', '/usr/bin/redis-server') }

/** The example where its packages are installed, as they would be in a project. */
const installed = (t: Test): string => {
  const folder = t.testdir({})
  cpSync('examples/redis', folder, { recursive: true })
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(resolve('.'), join(folder, 'node_modules/forksafe'))
  symlinkSync(resolve('tools/apps/node_modules/ioredis'), join(folder, 'node_modules/ioredis'))
  return folder
}

const visit = async (port: string | undefined): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text()

t.test('workers close their connections when they drain', needs, async (t) => {
  const redis = await redisServer(t)
  const supervisor = startSupervisor(t, {
    args: [
      join(installed(t), 'app.js'),
      ...['--workers', '2', '--name', 'visits', '--min-uptime', '50ms'],
      ...['--node-args', `--import ${JUDGE}`],
    ],
    env: { REDIS_URL: redis.socket, PORT: '0' },
  })
  const port = (await supervisor.waitForLine(/listening (\d+)/))[1]
  await supervisor.waitUntilReady()
  t.same(await redis.connections(), [], 'a start opens nothing')
  const connected = (generation: number) =>
    eventually(
      async () => {
        await visit(port)
        return { connections: await redis.connections(), status: await supervisor.status() }
      },
      ({ connections, status }) =>
        connections.length === 2 && status.workers.every((worker) => worker.generation === generation),
      { what: `both workers of generation ${generation} to use Redis, and nobody else` },
    )
  const { status } = await connected(1)
  t.match(status.workers[0]?.clients, [{ name: 'redis', state: 'open', role: 'own', epoch: 1 }])
  t.match((await supervisor.cli('status')).stdout, /redis open/)
  const names = status.workers.map(({ slot, pid }) => `visits-worker-${slot}-${pid}`)
  t.same(await redis.connections(), names.sort())

  t.equal((await supervisor.cli('reload')).code, 0)
  await connected(2)
  t.equal((await supervisor.cli('stop')).code, 0)
  t.same(await redis.connections(), [])
  const counts = supervisor.lines.flatMap((line) => /at the end: \d/.exec(line)?.[0] ?? [])
  t.same(counts, Array(4).fill('at the end: 0'), 'closed in the drain, not by the end of the process')
  t.notMatch(supervisor.lines.join('\n'), /redis: |FORKSAFE_ERR/)
})

t.test("a primary's connection is closed before each fork and open again afterwards", needs, async (t) => {
  const redis = await redisServer(t)
  const primary = startSupervisor(t, {
    program: ['--import', JUDGE, join(installed(t), 'primary.js')],
    env: { REDIS_URL: redis.socket, PORT: '0' },
  })
  await primary.waitForLine(/2 workers run, 0 visits so far/)
  const own = (): Promise<string[]> =>
    eventually(
      () => redis.connections(),
      (names) => names.length === 1,
      { what: 'the primary, and nobody else, to be connected' },
    )
  t.same(await own(), [`visits-primary-${primary.pid}`])
  t.equal((await primary.cli('reload')).code, 0)
  t.same(await own(), [`visits-primary-${primary.pid}`])
  const counts = primary.lines.filter((line) => line.startsWith('at the fork'))
  t.ok(counts.length >= 3, `${counts.length} fork windows were judged`)
  t.same(new Set(counts), new Set(['at the fork: 0']))

  primary.signal('SIGTERM')
  await primary.exited
  t.same(await redis.connections(), [], 'as many as before')
})
