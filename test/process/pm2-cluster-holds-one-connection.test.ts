// pm2's own cluster mode, without a supervisor of ours: of two instances with one exclusive client one has its connection,
// and `pm2 reload` hands it to a new one without a second beside it.

import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { Pm2Home } from '../support/pm2-home.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'
import { needsTool } from '../support/tools.js'

uninstrumentChildren()

const SCRIPT = resolve('test/campaign/fixtures/exclusive-script.js')
const APP = { name: 'senders', script: SCRIPT, exec_mode: 'cluster', instances: 2, kill_timeout: 5_000 }

t.test('pm2 in cluster mode', needsTool('pm2'), async (t) => {
  const world = await SenderWorld.open(t)
  const { upstream } = world
  const pm2 = pm2In(t, world)
  t.equal((await pm2.run('start', pm2.file(APP))).code, 0)

  const pids = (): number[] => pm2.members().map(({ pid }) => pid)
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

  t.equal((await pm2.run('reload', APP.name)).code, 0)
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

  t.equal((await pm2.run('delete', APP.name)).code, 0)
  await upstream.until(() => upstream.open(IDENTITY).length === 0, 'the connection to be closed')
  areClosedInOrder(t, world)
  // Who stood by and leaves has nobody to hand its messages to: they are rejected, and never said to have arrived.
  t.same(world.violations({ mayDouble: false, isAllOwed: false }), [])
})

t.test('pm2 in cluster mode, told to stop by a message', needsTool('pm2'), async (t) => {
  const world = await SenderWorld.open(t)
  const pm2 = pm2In(t, world)
  const file = pm2.file({ ...APP, instances: 1, shutdown_with_message: true })
  t.equal((await pm2.run('start', file)).code, 0)
  await world.upstream.until(() => world.upstream.open(IDENTITY).length === 1, 'the connection', 20_000)
  t.equal((await pm2.run('stop', APP.name)).code, 0)
  t.equal((await pm2.row(APP.name))?.pm2_env.status, 'stopped')
  await world.upstream.until(() => world.upstream.open(IDENTITY).length === 0, 'the connection to be closed')
  areClosedInOrder(t, world)
})

const areClosedInOrder = (t: Test, { upstream }: SenderWorld): void => {
  const numbers = (type: 'open' | 'frame'): number[] =>
    upstream.events.flatMap((event) => (event.type === type ? [event.connection] : [])).sort()
  t.same(numbers('frame'), numbers('open'), 'each connection has its Close frame')
}

/** A pm2 of this test alone; ended, with everything it started, when the test is over. */
const pm2In = (t: Test, world: SenderWorld): Pm2Home => {
  const pm2 = new Pm2Home({
    folder: world.folder,
    env: {
      FORKSAFE_HOME: world.home,
      SENDING: JSON.stringify({
        ...{ url: world.upstream.url(IDENTITY), folder: world.folder, every: 10, isExclusive: true },
        options: { backoff: { min: '10ms', max: '200ms' }, drainTimeout: '1s' },
      }),
    },
  })
  t.teardown(() => pm2.end())
  return pm2
}
