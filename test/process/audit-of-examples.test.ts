// A service that does as it should has no finding: not at rest, not under load, not in the middle of a rolling restart or
// after it. The examples are those services; examples/feed is run again under load.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { audit, inShort } from '../support/audited.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { startLoad } from '../support/load.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { redisServer } from '../support/redis-server.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'
import { needsPackage, needsTool } from '../support/tools.js'

uninstrumentChildren()

const findsNothing = async (t: Test, supervisor: SupervisorProcess, when: string): Promise<void> => {
  const { code, report } = await audit(supervisor)
  t.same(report.findings, [], when)
  t.equal(code, 0, when)
}

/** Again and again until the rolling restart is over, and once afterwards. */
const findsNothingWhileItRolls = async (t: Test, supervisor: SupervisorProcess): Promise<void> => {
  let isOver = false
  const rolled = supervisor.cli('reload').finally(() => {
    isOver = true
  })
  while (!isOver) await findsNothing(t, supervisor, 'during a rolling restart')
  t.equal((await rolled).code, 0)
  await findsNothing(t, supervisor, 'after it')
}

t.test('examples/feed, under load and through a rolling restart, within a budget', async (t) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [
      'examples/feed/app.js',
      '-i',
      '2',
      '--min-uptime',
      '300ms',
      '--connection-budget',
      `127.0.0.1:${upstream.port}=4`,
    ],
    env: { UPSTREAM: upstream.url, PORT: String(port) },
  })
  await supervisor.waitUntilReady()
  await findsNothing(t, supervisor, 'at rest')
  const { report } = await audit(supervisor)
  t.match(report.endpoints, [
    { endpoint: `127.0.0.1:${upstream.port}`, live: 2, guarded: 2, unguarded: 0, budget: 4 },
  ])
  const load = startLoad({ port, path: '/feed', slowPath: '/feed' })
  await findsNothing(t, supervisor, 'under load')
  await findsNothingWhileItRolls(t, supervisor)
  t.match(await load.stop(), { failed: 0 })
  await findsNothing(t, supervisor, 'at rest again')
})

t.test('examples/exclusive, within a budget of one, through a handover and a rolling restart', async (t) => {
  const upstream = startSupervisor(t, { program: ['examples/exclusive/upstream.js'], env: { PORT: '0' } })
  const [, url = '', upstreamPort] = await upstream.waitForLine(/^upstream (ws:.*:(\d+).*)$/)
  const supervisor = startSupervisor(t, {
    args: [
      'examples/exclusive/app.js',
      '-i',
      '3',
      '--min-uptime',
      '300ms',
      '--connection-budget',
      `127.0.0.1:${upstreamPort}=1`,
    ],
    env: { UPSTREAM: url, PORT: '0' },
  })
  await supervisor.waitUntilReady()
  const isHeld = ({ stdout }: { stdout: string }): boolean => /bot open, holder/.test(stdout)
  await eventually(() => supervisor.cli('status'), isHeld, { what: 'a holder' })
  await findsNothing(t, supervisor, 'at rest')
  const { report } = await audit(supervisor)
  t.match(report.endpoints, [{ live: 1, guarded: 1, budget: 1 }])
  t.equal((await supervisor.cli('handoff', 'bot')).code, 0)
  await findsNothing(t, supervisor, 'after a handover')
  await findsNothingWhileItRolls(t, supervisor)
})

t.test('examples/deploy, under load and through a rolling restart', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [
      'examples/deploy/app.js',
      '-i',
      '2',
      '--min-uptime',
      '300ms',
      '--health',
      String(await freePort()),
    ],
    env: { PORT: String(port) },
  })
  await supervisor.waitUntilReady()
  await findsNothing(t, supervisor, 'at rest')
  const load = startLoad({ port })
  await findsNothing(t, supervisor, 'under load')
  await findsNothingWhileItRolls(t, supervisor)
  t.match(await load.stop(), { failed: 0 })
})

t.test(
  'examples/redis, a primary that uses Redis itself, over TCP',
  { ...needsTool('apps'), ...needsPackage('redis-server', '/usr/bin/redis-server') },
  async (t) => {
    const redisPort = await freePort()
    await redisServer(t, redisPort)
    const folder = t.testdir({})
    cpSync('examples/redis', folder, { recursive: true })
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(resolve('.'), join(folder, 'node_modules/forksafe'))
    symlinkSync(resolve('tools/apps/node_modules/ioredis'), join(folder, 'node_modules/ioredis'))
    const port = await freePort()
    const primary = startSupervisor(t, {
      program: [join(folder, 'primary.js')],
      env: { REDIS_URL: `redis://127.0.0.1:${redisPort}`, PORT: String(port) },
    })
    await primary.waitForLine(/2 workers run, 0 visits so far/)
    const visit = async (): Promise<void> =>
      void (await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text())
    await eventually(
      async () => {
        await visit()
        return (await audit(primary)).report
      },
      ({ endpoints }) => endpoints[0]?.live === 3,
      { what: 'the primary and both workers to use Redis' },
    )
    const { report } = await audit(primary)
    t.same(inShort(report), [])
    t.match(report.endpoints, [{ guarded: 3, unguarded: 0 }])
    await findsNothingWhileItRolls(t, primary)
  },
)
