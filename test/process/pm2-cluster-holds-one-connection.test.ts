// pm2's own cluster mode, without a supervisor of ours: of two instances with one exclusive client one has its connection,
// and `pm2 reload` hands it to a new one without a second beside it.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { isZombie, killProcesses, markedProcesses, type ProcessRow } from '../support/process-tree.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'
import { needsTool, toolCommand } from '../support/tools.js'

uninstrumentChildren()

const MARK = 'TEST_TREE_MARK'
const SCRIPT = resolve('test/campaign/fixtures/exclusive-script.js')

t.test('pm2 in cluster mode', needsTool('pm2'), async (t) => {
  const world = await SenderWorld.open(t)
  const { upstream } = world
  const { pm2, members } = pm2In(t, world)
  const file = join(world.folder, 'senders.config.json')
  const app = { name: 'senders', script: SCRIPT, exec_mode: 'cluster', instances: 2, kill_timeout: 5_000 }
  writeFileSync(file, JSON.stringify({ apps: [app] }))
  t.equal(await pm2('start', file), 0)

  const pids = (): number[] => members().map(({ pid }) => pid)
  /** Of living instances that have sent something, how many have a receipt. */
  const atWork = () => world.journals().filter(({ pid, sent }) => pids().includes(pid) && sent.size > 0)
  const holder = async (isMeant: (pid: number) => boolean): Promise<number> => {
    const found = () => upstream.open(IDENTITY).find(({ who }) => isMeant(Number(who)))
    await upstream.until(() => found() !== undefined, 'an instance to have the connection', 20_000)
    return Number(found()?.who)
  }
  const areTwoAtWork = { what: 'two instances to be at work', timeout: 20_000 }
  await eventually(
    () => atWork().length,
    (count) => count === 2,
    areTwoAtWork,
  )
  const old = atWork().map(({ pid }) => pid)
  t.ok(old.includes(await holder(() => true)))
  t.equal(upstream.events.filter(({ type }) => type === 'open').length, 1, 'one of two has opened it')

  t.equal(await pm2('reload', 'senders'), 0)
  await holder((pid) => !old.includes(pid))
  await eventually(
    () => atWork().length,
    (count) => count === 2,
    areTwoAtWork,
  )
  t.notOk(
    pids().some((pid) => old.includes(pid)),
    'both are new',
  )
  t.equal(upstream.open(IDENTITY).length, 1)

  t.equal(await pm2('delete', 'senders'), 0)
  await upstream.until(() => upstream.open(IDENTITY).length === 0, 'the connection to be closed')
  // Who stood by and leaves has nobody to hand its messages to: they are rejected, and never said to have arrived.
  t.same(world.violations({ mayDouble: false, isAllOwed: false }), [])
})

/** A pm2 of this test alone; ended, with everything it started, when the test is over. */
const pm2In = (t: Test, world: SenderWorld) => {
  const mark = randomUUID()
  const env = cleanEnv({
    PM2_HOME: join(world.folder, 'pm2'),
    PM2_DISABLE_VERSION_CHECK: '1',
    FORKSAFE_HOME: world.home,
    SENDING: JSON.stringify({
      ...{ url: world.upstream.url(IDENTITY), folder: world.folder, every: 10, isExclusive: true },
      options: { backoff: { min: '10ms', max: '200ms' }, drainTimeout: '1s' },
    }),
    [MARK]: mark,
  })
  const members = (): ProcessRow[] => markedProcesses(MARK, mark).filter((row) => !isZombie(row))
  const pm2 = async (...args: string[]): Promise<number> => {
    const command = [toolCommand('pm2', 'pm2'), ...args]
    const child = spawn(process.execPath, command, {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    })
    const [, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    return code
  }
  t.teardown(async () => {
    try {
      await pm2('kill')
      await eventually(members, (left) => left.length === 0, { what: 'pm2 and what it started to be gone' })
    } finally {
      killProcesses(members())
    }
  })
  return { pm2, members }
}
