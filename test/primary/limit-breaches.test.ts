// What becomes of a worker that has crossed a limit, in a world of fake processes and a fake clock.

import t from 'tap'
import type { LimitBreach } from '../../src/shared/limits.js'
import { type Behaviour, CoreWorld, GOOD, NEVER_READY, release } from './core-world.js'

const MIB = 1024 ** 2
const SOFT: LimitBreach = { limit: 'maxMemory', value: 130 * MIB, max: 100 * MIB }
const HARD: LimitBreach = { limit: 'maxMemoryHard', value: 210 * MIB, max: 200 * MIB }
const OLD: LimitBreach = { limit: 'maxUptime', value: 3_600_000, max: 3_600_000 }
const HUNG: LimitBreach = { limit: 'hangTimeout', value: 60_000, max: 60_000 }
/** Beyond the time in which a breach counts as a crash. */
const SETTLED = 40_000

const started = (workers = 2, behaviour: Behaviour = GOOD, overrides = {}): CoreWorld => {
  const world = new CoreWorld(release(1, { workers, ...overrides }))
  world.behaviour = () => behaviour
  world.command({ type: 'start' })
  return world.pass(SETTLED)
}

const servingId = (world: CoreWorld, slot: number): number => world.core.pool.slot(slot)?.serving?.id ?? -1

const breach = (world: CoreWorld, slot: number, what: LimitBreach): number => {
  const id = servingId(world, slot)
  world.command({ type: 'workerOverLimit', id, breach: what })
  return id
}

const timesOf = (world: CoreWorld, event: string, slot: number): number[] =>
  world.progress.flatMap((entry) =>
    entry.event === event && 'slot' in entry && entry.slot === slot ? [entry.at] : [],
  )

for (const soft of [SOFT, OLD]) {
  t.test(
    `over ${soft.limit} a worker drains only when its replacement is ready, and it is no crash`,
    async (t) => {
      const world = started(2)
      const id = breach(world, 0, soft)
      t.same(world.core.pool.slot(0)?.serving?.overLimit, soft, 'to be seen in the status')
      world.pass(1_000)
      t.not(servingId(world, 0), id)
      const readyAt = timesOf(world, 'workerReady', 0).at(-1) ?? 0
      const drainedAt = timesOf(world, 'workerDraining', 0).at(-1) ?? 0
      t.ok(readyAt > SETTLED && readyAt <= drainedAt)
      t.notOk(world.processes.has(id))
      t.equal(world.core.pool.slot(0)?.restarts, 0)
      t.match(world.core.pool.slot(0)?.lastExit, { reason: /^replaced, (over|past) max.*; drained$/ })
      t.same(timesOf(world, 'workerStarting', 1).length, 1, 'the other slot is untouched')
      t.match(
        world.progress.filter(({ event }) => event === 'workerOverLimit'),
        [{ slot: 0, ...soft }],
      )
    },
  )
}

t.test('at most maxSurge are replaced for a limit at once, and in the end all are', async (t) => {
  for (const maxSurge of [1, 3]) {
    const world = started(6, GOOD, { maxSurge })
    const before = [0, 1, 2, 3, 4, 5].map((slot) => breach(world, slot, SOFT))
    let most = 0
    for (let step = 0; step < 300; step++) {
      world.pass(10)
      most = Math.max(most, world.core.pool.startingCount)
    }
    t.equal(most, maxSurge)
    t.notOk(before.some((id) => world.processes.has(id)))
    t.equal(world.processes.size, 6)
  }
})

t.test(
  'a worker that is over its limit soon after it was ready counts as crashed: no busy loop',
  async (t) => {
    const world = started(1)
    const begun = world.forks
    for (let second = 0; second < 600; second++) {
      if (world.core.pool.slot(0)?.serving?.overLimit === null) breach(world, 0, SOFT)
      world.pass(1_000)
      t.equal(world.serving.length, 1, 'somebody serves all the time') || t.bailout('nobody serves')
    }
    const forks = world.forks - begun
    t.ok(forks > 10 && forks < 120, `${forks} forks in 10 minutes`)
    t.ok((world.core.pool.slot(0)?.restarts ?? 0) > 10)
    t.ok(timesOf(world, 'workerWaiting', 0).length > 10)
  },
)

t.test('with onExceeded exit such a release stops the supervisor, as crashes do', async (t) => {
  const world = started(1, GOOD, { restart: { intensity: 2, period: 60_000, onExceeded: 'exit' } })
  for (let second = 0; second < 60 && world.results.ended === null; second++) {
    if (world.core.pool.slot(0)?.serving?.overLimit === null) breach(world, 0, SOFT)
    world.pass(1_000)
  }
  t.match(world.results.ended, {
    exitCode: 7,
    message: /crashed 3 times.*over maxMemory: 130 MiB of 100 MiB/,
  })
})

t.test(
  'where no replacement can be ready the worker goes on serving, and others have their turn',
  async (t) => {
    const world = started(2)
    const [first, second] = [breach(world, 0, SOFT), breach(world, 1, SOFT)]
    world.behaviour = (_, slot) => (slot === 0 ? NEVER_READY : GOOD)
    world.pass(120_000)
    t.equal(servingId(world, 0), first)
    t.not(servingId(world, 1), second)
    t.same(world.serving, ['0:1', '1:1'])
    world.behaviour = () => GOOD
    world.pass(120_000)
    t.not(servingId(world, 0), first)
  },
)

t.test(
  'while a change is under way nobody is replaced for a limit, and afterwards who still is over it',
  async (t) => {
    const world = started(3)
    world.behaviour = (generation) => (generation === 2 ? NEVER_READY : GOOD)
    const before = [0, 1, 2].map((slot) => servingId(world, slot))
    world.change({ kind: 'reload' })
    world.pass(1_000)
    breach(world, 2, SOFT)
    world.pass(1_500)
    breach(world, 0, SOFT)
    world.pass(1_500)
    t.same(
      [0, 1, 2].map((slot) => servingId(world, slot)),
      before,
    )
    world.pass(10_000)
    t.match(world.results.changes, [{ ok: false }], 'rolled back')
    t.equal(servingId(world, 1), before[1])
    t.not(servingId(world, 0), before[0])
    t.not(servingId(world, 2), before[2])
    t.same(world.serving, ['0:1', '1:1', '2:1'])
  },
)

t.test(
  'over maxMemoryHard a worker is told to leave at once, its slot is started again, and it is a crash',
  async (t) => {
    const world = started(2)
    const id = breach(world, 0, HARD)
    t.ok(world.sent.some((sent) => sent.id === id && sent.message.type === 'drain'))
    world.pass(1_000)
    t.same(world.serving, ['0:1', '1:1'])
    t.not(servingId(world, 0), id)
    t.equal(world.core.pool.slot(0)?.restarts, 1)
    t.match(world.core.pool.slot(0)?.lastExit, {
      reason: 'was sent away: over maxMemoryHard: 210 MiB of 200 MiB',
    })
  },
)

t.test('the hard limit does not wait for a replacement that the soft one has asked for', async (t) => {
  const world = started(1, { ...GOOD, readyAfter: 3_000 })
  const id = breach(world, 0, SOFT)
  world.pass(100)
  breach(world, 0, HARD)
  world.pass(200)
  t.notOk(world.processes.has(id))
  world.pass(5_000)
  t.same(world.serving, ['0:1'])
})

t.test('a worker whose loop stands still is killed and replaced; its end says why', async (t) => {
  const world = started(2)
  const id = breach(world, 1, HUNG)
  world.pass(1_000)
  t.notOk(world.processes.has(id))
  t.same(world.serving, ['0:1', '1:1'])
  t.notOk(
    world.sent.some((sent) => sent.id === id),
    'it hears nothing, so it is told nothing',
  )
  t.match(
    world.progress.filter(({ event }) => event === 'workerExited'),
    [{ slot: 1, expected: false, reason: /^was killed: its event loop stood still for 60 s/ }],
  )
})

t.test('a breach of a worker that leaves already, or is gone, changes nothing', async (t) => {
  const world = started(2, { ...GOOD, drainsIn: 500 })
  const id = servingId(world, 0)
  const other = servingId(world, 1)
  world.change({ kind: 'restart' })
  world.pass(100)
  const told = world.progress.length
  for (const what of [SOFT, HARD, HUNG])
    for (const each of [id, other, 99]) world.command({ type: 'workerOverLimit', id: each, breach: what })
  t.same(
    world.progress.slice(told).filter(({ event }) => event === 'workerOverLimit'),
    [],
  )
})

for (const [outOfMemory, reason] of [
  ['counted', /^was killed by SIGKILL .* after it was ready, by the kernel for lack of memory$/],
  ['unknown', /^was killed by SIGKILL .* after it was ready, probably by the kernel for lack of memory$/],
  ['not counted', /^was killed by SIGKILL \S+ s after it was ready$/],
] as const) {
  t.test(`a SIGKILL that nobody here sent, where a kill for lack of memory is ${outOfMemory}`, async (t) => {
    const world = started(1)
    const id = servingId(world, 0)
    world.processes.delete(id)
    world.command({ type: 'workerExited', id, end: { code: null, signal: 'SIGKILL', outOfMemory } })
    t.match(world.core.pool.slot(0)?.lastExit, { reason })
  })
}
