// The phases of a stop, in a world of fake processes and a fake clock: first serving goes on, then all drain.

import t from 'tap'
import { CoreWorld, NEVER_DRAINS, NEVER_READY, release } from './core-world.js'

const SIGTERM = { type: 'stop', reason: 'SIGTERM', urgent: false } as const
const AGAIN = { ...SIGTERM, repeated: true } as const

const started = (overrides: Parameters<typeof release>[1] = {}): CoreWorld => {
  const world = new CoreWorld(release(1, { shutdownDelay: 5_000, ...overrides }))
  world.command({ type: 'start' })
  return world.pass(2_000)
}

const ordersTo = (world: CoreWorld, type: string): number =>
  world.sent.filter(({ message }) => message.type === type).length

t.test(
  'for shutdownDelay everything serves on, then it drains; all within the announced budget',
  async (t) => {
    const world = started()
    world.command(SIGTERM)
    t.equal(world.core.state, 'stopping')
    t.match(
      world.progress.find(({ event }) => event === 'stopping'),
      { delay: 5_000, budget: 8_000, reason: 'SIGTERM' },
    )
    world.pass(4_990)
    t.same(world.serving, ['0:1', '1:1'])
    t.equal(ordersTo(world, 'drain'), 0)
    t.notOk(world.isDrainBegun)
    world.pass(20)
    t.equal(ordersTo(world, 'drain'), 2)
    t.ok(world.isDrainBegun)
    t.match(
      world.progress.find(({ event }) => event === 'draining'),
      { reason: 'after 5s', budget: 3_000 },
    )
    world.pass(100)
    t.match(world.results.ended, { ok: true, exitCode: 0, message: 'stopped' })
  },
)

t.test('a second signal ends the delay, a third one the drain', async (t) => {
  const world = started()
  for (const process of world.processes.values()) process.behaviour = NEVER_DRAINS
  world.command(SIGTERM)
  world.pass(1_000)
  world.command(AGAIN)
  t.equal(ordersTo(world, 'drain'), 2)
  t.equal(ordersTo(world, 'leave'), 0)
  world.pass(100)
  world.command(AGAIN)
  t.equal(ordersTo(world, 'leave'), 2)
  world.pass(100)
  t.match(world.results.ended, { ok: false, exitCode: 1, message: 'stopped at once' })
  t.ok(world.now < 5_000)
})

t.test('without a delay the second signal ends the drain', async (t) => {
  const world = started({ shutdownDelay: 0 })
  for (const process of world.processes.values()) process.behaviour = NEVER_DRAINS
  world.command(SIGTERM)
  t.equal(ordersTo(world, 'drain'), 2)
  t.notOk(world.progress.some(({ event }) => event === 'draining'))
  world.command(AGAIN)
  t.equal(ordersTo(world, 'leave'), 2)
})

t.test('a stop that is asked for again, not by a signal, changes nothing', async (t) => {
  const world = started()
  world.command(SIGTERM)
  world.pass(1_000)
  world.command({ type: 'stop', reason: 'supervisor stop', urgent: false })
  world.pass(1_000)
  t.same(world.serving, ['0:1', '1:1'])
})

t.test('an urgent stop waits for nothing, also in the middle of the delay', async (t) => {
  for (const before of [[], [SIGTERM]]) {
    const world = started()
    for (const command of before) world.command(command)
    world.command({ type: 'stop', reason: 'supervisor stop --now', urgent: true })
    t.equal(ordersTo(world, 'leave'), 2)
    t.equal(ordersTo(world, 'drain'), 0)
    world.pass(100)
    t.match(world.results.ended, { exitCode: 1, message: 'stopped at once' })
    t.ok(world.isDrainBegun)
    t.equal(world.pass(10_000).results.ended?.message, 'stopped at once')
  }
})

t.test(
  'a worker that was signalled with the rest of its group is held, before the stop and during it',
  async (t) => {
    const world = started()
    const [first = 0, second = 0] = world.processes.keys()
    world.command({ type: 'workerSignalled', id: first, signal: 'SIGTERM' })
    world.pass(50)
    world.command(SIGTERM)
    world.command({ type: 'workerSignalled', id: second, signal: 'SIGTERM' })
    t.same(
      world.sent.filter(({ message }) => message.type === 'hold').map(({ id }) => id),
      [first, second],
    )
    const { forks } = world
    world.pass(4_000)
    t.same(world.serving, ['0:1', '1:1'])
    t.equal(world.forks, forks, 'nothing is started in its place')
  },
)

t.test('a worker that dies in the delay is not replaced; when the last one is gone it is over', async (t) => {
  const world = started()
  world.command(SIGTERM)
  const { forks } = world
  const [first = 0, second = 0] = world.processes.keys()
  world.kill(first)
  world.pass(1_000)
  t.same(world.serving, ['1:1'])
  t.equal(world.core.state, 'stopping')
  world.kill(second)
  t.match(world.results.ended, { ok: true })
  t.ok(world.isDrainBegun)
  t.equal(world.forks, forks)
})

t.test('one that misbehaves in the delay leaves, and nothing is started for it', async (t) => {
  const world = started()
  world.command(SIGTERM)
  const { forks } = world
  const [first = 0] = world.processes.keys()
  world.command({ type: 'workerMisbehaved', id: first, reason: 'sent garbage' })
  world.pass(1_000)
  t.same(world.serving, ['1:1'])
  t.equal(world.forks, forks)
  t.notOk(world.progress.some(({ event }) => event === 'workerWaiting'))
})

t.test('where nobody serves nothing is waited for', async (t) => {
  const world = new CoreWorld(release(1, { shutdownDelay: 5_000 }))
  world.behaviour = () => NEVER_READY
  world.command({ type: 'start' })
  world.pass(100)
  world.command(SIGTERM)
  t.match(
    world.progress.find(({ event }) => event === 'stopping'),
    { delay: 0, budget: 3_000 },
  )
  world.pass(200)
  t.match(world.results.ended, { ok: true })
})

t.test('in the middle of a rolling restart the serving ones serve on, the new one leaves', async (t) => {
  const world = started({ workers: 3 })
  world.change({ kind: 'reload' })
  world.pass(50)
  world.command(SIGTERM)
  t.match(world.results.changes, [{ ok: false, exitCode: 5, message: /stopping/ }])
  world.pass(1_000)
  t.same(world.serving, ['0:1', '1:1', '2:1'])
  t.equal(world.processes.size, 3)
  world.pass(5_000)
  t.match(world.results.ended, { ok: true })
})
