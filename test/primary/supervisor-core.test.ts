// The primary's decisions, in a world of fake processes and a fake clock.

import fc from 'fast-check'
import t from 'tap'
import {
  CoreWorld,
  DIES_AFTER_READY,
  GOOD,
  NEVER_DRAINS,
  NEVER_READY,
  release,
  THROWS_AT_BOOT,
} from './core-world.js'

const started = (workers = 2): CoreWorld => {
  const world = new CoreWorld(release(1, { workers }))
  world.command({ type: 'start' })
  return world.pass(2_000)
}

t.test('start brings every slot up and says so once all are ready', async (t) => {
  const world = started(3)
  t.ok(world.isStarted)
  t.same(world.serving, ['0:1', '1:1', '2:1'])
  t.equal(world.core.state, 'running')
})

t.test('start is not complete while one worker is not ready', async (t) => {
  const world = new CoreWorld(release(1))
  world.behaviour = (_, slot) => (slot === 1 ? NEVER_READY : GOOD)
  world.command({ type: 'start' })
  world.pass(4_000)
  t.notOk(world.isStarted)
  t.same(world.serving, ['0:1'])
})

t.test('a rolling restart replaces every worker and ends when the old ones are gone', async (t) => {
  const world = started(4)
  world.change({ kind: 'reload' })
  world.pass(10_000)
  t.same(world.serving, ['0:2', '1:2', '2:2', '3:2'])
  t.match(world.results.changes, [{ ok: true, exitCode: 0, generation: 2 }])
  t.equal(world.processes.size, 4)
  t.equal(world.core.state, 'running')
})

t.test('an old worker is told to drain only after its replacement is ready', async (t) => {
  const world = started(3)
  world.change({ kind: 'reload' })
  world.pass(10_000)
  for (const slot of [0, 1, 2]) {
    const of = (event: string, generation: number): number =>
      world.progress.findIndex(
        (entry) =>
          entry.event === event &&
          'slot' in entry &&
          entry.slot === slot &&
          'generation' in entry &&
          entry.generation === generation,
      )
    t.ok(of('workerReady', 2) >= 0 && of('workerReady', 2) < of('workerDraining', 1), `slot ${slot}`)
  }
})

t.test('the canary goes alone until it has lived minUptime, its predecessor still serving', async (t) => {
  const world = started(3)
  world.change({ kind: 'reload' })
  world.pass(600)
  t.same([...world.processes.values()].map(({ slot, generation }) => `${slot}:${generation}`).sort(), [
    '0:1',
    '0:2',
    '1:1',
    '2:1',
  ])
  t.same(world.serving, ['0:1', '1:1', '2:1'])
})

t.test('at most maxSurge replacements are starting at once', async (t) => {
  const world = new CoreWorld(release(1, { workers: 6, maxSurge: 2 }))
  world.command({ type: 'start' })
  world.pass(2_000)
  world.change({ kind: 'reload' })
  let most = 0
  for (let step = 0; step < 600; step++) {
    world.pass(10)
    most = Math.max(most, world.core.pool.startingCount)
  }
  t.equal(most, 2)
  t.match(world.results.changes, [{ ok: true }])
})

for (const [name, behaviour, reason] of [
  ['is never ready', NEVER_READY, /was not ready within 5s/],
  ['throws at boot', THROWS_AT_BOOT, /exited with code 1 before it was ready/],
  ['dies after it was ready', DIES_AFTER_READY, /exited with code 1 0\.40 s after it was ready/],
] as const) {
  t.test(`a release that ${name} is rolled back and the old workers stay`, async (t) => {
    const world = started(3)
    const before = [...world.processes.keys()]
    world.behaviour = (generation) => (generation === 2 ? behaviour : GOOD)
    world.change({ kind: 'reload' })
    world.pass(20_000)
    t.match(world.results.changes, [
      { ok: false, exitCode: 5, generation: 1, failures: [{ slot: 0, reason }] },
    ])
    t.same([...world.processes.keys()], before, 'the very same processes')
    t.equal(world.core.state, 'running')
    world.change({ kind: 'reload' })
    world.pass(20_000)
    t.match(world.results.changes[1], { ok: true, generation: 3 })
    t.same(world.serving, ['0:3', '1:3', '2:3'])
  })
}

t.test(
  'a release that fails only in a later slot goes back in the slots that were done, start first',
  async (t) => {
    const world = started(3)
    world.behaviour = (generation, slot) => (generation === 2 && slot === 2 ? THROWS_AT_BOOT : GOOD)
    world.change({ kind: 'reload' })
    let fewest = 3
    for (let step = 0; step < 1_000; step++) {
      world.pass(10)
      fewest = Math.min(fewest, world.serving.length)
    }
    t.match(world.results.changes, [{ ok: false, exitCode: 5, failures: [{ slot: 2 }] }])
    t.same(world.serving, ['0:1', '1:1', '2:1'])
    t.equal(fewest, 3, 'never fewer than three serve')
  },
)

t.test('a later worker that dies within minUptime turns the restart back', async (t) => {
  const world = started(3)
  world.behaviour = (generation, slot) => (generation === 2 && slot === 1 ? DIES_AFTER_READY : GOOD)
  world.change({ kind: 'reload' })
  world.pass(20_000)
  t.match(world.results.changes, [
    { ok: false, exitCode: 5, failures: [{ slot: 1, reason: /after it was ready/ }] },
  ])
  t.same(world.serving, ['0:1', '1:1', '2:1'])
})

t.test('a release that is refused touches nothing', async (t) => {
  const world = started()
  const before = [...world.processes.keys()]
  world.nextRelease = () => 'app.js:3: Unexpected token'
  world.change({ kind: 'reload' })
  world.pass(5_000)
  t.match(world.results.changes, [{ ok: false, exitCode: 5, message: /app\.js:3.*nothing was touched/ }])
  t.same([...world.processes.keys()], before)
})

t.test('reloads during a reload are coalesced into one more', async (t) => {
  const world = started()
  for (let i = 0; i < 5; i++) {
    world.change({ kind: 'reload' })
    world.pass(100)
  }
  world.pass(20_000)
  t.same(
    world.results.changes.map(({ request, generation }) => [request, generation]),
    [
      [1, 2],
      [2, 3],
      [3, 3],
      [4, 3],
      [5, 3],
    ],
  )
  t.same(world.serving, ['0:3', '1:3'])
})

t.test('a release with more workers adds slots, one with fewer takes them away', async (t) => {
  const world = started(2)
  world.nextRelease = (generation) => release(generation, { workers: 4 })
  world.change({ kind: 'reload' })
  world.pass(10_000)
  t.same(world.serving, ['0:2', '1:2', '2:2', '3:2'])
  world.nextRelease = (generation) => release(generation, { workers: 1 })
  world.change({ kind: 'reload' })
  world.pass(10_000)
  t.same(world.serving, ['0:3'])
  t.equal(world.processes.size, 1)
})

t.test('slots that only a failed release had are taken away again', async (t) => {
  const world = started(2)
  world.nextRelease = (generation) => release(generation, { workers: 4 })
  world.behaviour = (generation, slot) => (generation === 2 && slot === 3 ? THROWS_AT_BOOT : GOOD)
  world.change({ kind: 'reload' })
  world.pass(20_000)
  t.match(world.results.changes, [{ ok: false, exitCode: 5 }])
  t.same(world.serving, ['0:1', '1:1'])
  t.equal(world.processes.size, 2)
})

t.test('stop during a reload wins and leaves nothing', async (t) => {
  const world = started(3)
  world.change({ kind: 'reload' })
  world.pass(500)
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
  world.pass(5_000)
  t.match(world.results.changes, [{ ok: false, exitCode: 5, message: /stopping/ }])
  t.match(world.results.ended, { ok: true, exitCode: 0 })
  t.equal(world.processes.size, 0)
})

t.test('stop during the start leaves nothing, forks under way included', async (t) => {
  for (const moment of [0, 1, 2, 50, 101]) {
    const world = new CoreWorld(release(1, { workers: 5 }))
    world.command({ type: 'start' })
    world.pass(moment)
    world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
    world.pass(10_000)
    t.match(world.results.ended, { ok: true, exitCode: 0 }, `stopped at ${moment} ms`)
    t.equal(world.processes.size, 0)
  }
})

t.test('whatever comes after the end starts nothing', async (t) => {
  const world = started(2)
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
  world.pass(5_000)
  const { forks } = world
  world.change({ kind: 'reload' })
  world.change({ kind: 'restart' })
  world.change({ kind: 'scale', by: 1 })
  world.command({ type: 'releaseResolved', release: release(2) })
  world.command({ type: 'timer', key: 'slot:0' })
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: true })
  world.pass(5_000)
  t.equal(world.forks, forks)
  t.equal(world.processes.size, 0)
  t.equal(world.core.state, 'stopped')
  const refused = { ok: false, exitCode: 5, message: 'the supervisor is stopping' }
  t.match(world.results.changes, [refused, refused, refused])
})

t.test('a worker that never drains is killed at the end of the budget, and the stop says so', async (t) => {
  const world = started()
  world.processes.forEach((process) => {
    process.behaviour = NEVER_DRAINS
  })
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
  world.pass(2_990)
  t.equal(world.processes.size, 2)
  world.pass(20)
  t.equal(world.processes.size, 0)
  t.match(world.results.ended, { ok: false, exitCode: 1, message: /2 workers had to be killed/ })
})

t.test('a worker that a reload had to kill is none of the stop', async (t) => {
  const world = started()
  world.processes.forEach((process) => {
    process.behaviour = NEVER_DRAINS
  })
  world.change({ kind: 'reload' })
  world.pass(20_000)
  t.match(world.results.changes, [{ ok: true }])
  t.match(
    world.progress.filter(({ event }) => event === 'workerExited'),
    [{ reason: /^killed/ }, { reason: /^killed/ }],
  )
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
  world.pass(5_000)
  t.match(world.results.ended, { ok: true, exitCode: 0, message: 'stopped' })
})

t.test('a second stop makes the workers leave at once', async (t) => {
  const world = started()
  world.processes.forEach((process) => {
    process.behaviour = NEVER_DRAINS
  })
  world.command({ type: 'stop', reason: 'SIGINT', urgent: false })
  world.pass(100)
  world.command({ type: 'stop', reason: 'SIGINT', urgent: false, repeated: true })
  world.pass(20)
  t.equal(world.processes.size, 0)
  t.same(world.sent.filter(({ message }) => message.type === 'leave').length, 2)
})

t.test('a crashed worker is replaced at once, a loop of crashes later and later', async (t) => {
  const world = started()
  const [victim] = world.processes.keys()
  world.kill(victim ?? 0)
  world.pass(150)
  t.same(world.serving, ['0:1', '1:1'])
  world.behaviour = (_, slot) => (slot === 0 ? THROWS_AT_BOOT : GOOD)
  const [next] = [...world.processes.values()].filter(({ slot }) => slot === 0)
  world.kill(next?.id ?? 0)
  const forksBefore = world.forks
  world.pass(60_000)
  const perMinute = world.forks - forksBefore
  t.ok(perMinute < 15, `${perMinute} forks in a minute of crashing`)
  t.same(world.serving, ['1:1'], 'the other slot is untouched')
})

t.test(
  'no slot is started again more often than its intensity allows, and it recovers by itself',
  async (t) => {
    for (const diesAfter of [60, 1_500, 4_000]) {
      const restart = { intensity: 5, period: 60_000, onExceeded: 'backoff' as const }
      const world = new CoreWorld(release(1, { restart }))
      let isBroken = true
      world.behaviour = (_, slot) => (slot === 0 && isBroken ? { ...GOOD, diesAfter } : GOOD)
      world.command({ type: 'start' })
      const starts: number[] = []
      for (let step = 0; step < 3_000; step++) {
        const before = world.forks
        world.pass(100)
        if (world.forks > before && step > 10) starts.push(world.now)
      }
      for (const at of starts) {
        const within = starts.filter((other) => other >= at && other < at + 60_000).length
        t.ok(within <= 6, `${within} starts in the minute from ${at} ms, dying after ${diesAfter} ms`)
      }
      t.ok(starts.length >= 15, `${starts.length} starts in five minutes: it is never given up`)
      t.match(world.core.pool.slot(0)?.lastExit?.reason, /exited with code 1/)
      t.equal(world.core.pool.slot(1)?.restarts, 0, 'the other slot is untouched')
      isBroken = false
      world.pass(70_000)
      t.same(world.serving, ['0:1', '1:1'])
    }
  },
)

t.test('with onExceeded exit the supervisor stops in order, with exit code 7 and the reason', async (t) => {
  const restart = { intensity: 3, period: 60_000, onExceeded: 'exit' as const }
  const world = new CoreWorld(release(1, { restart }))
  world.behaviour = (_, slot) => (slot === 1 ? THROWS_AT_BOOT : GOOD)
  world.command({ type: 'start' })
  world.pass(60_000)
  t.match(world.results.ended, { ok: false, exitCode: 7, message: /worker 1 crashed 4 times within 1m/ })
  t.equal(world.processes.size, 0)
  t.match(world.sent, [{ id: 1, message: { type: 'drain', reason: 'stop' } }], 'the healthy one is drained')
})

t.test('crashes further apart than the period are no loop', async (t) => {
  const restart = { intensity: 1, period: 10_000, onExceeded: 'exit' as const }
  const world = new CoreWorld(release(1, { workers: 1, restart }))
  world.behaviour = () => ({ ...GOOD, diesAfter: 15_000 })
  world.command({ type: 'start' })
  world.pass(600_000)
  t.equal(world.results.ended, null)
})

t.test('scaling up fills new slots and ends when they are ready', async (t) => {
  const world = started(2)
  const before = [...world.processes.keys()]
  world.change({ kind: 'scale', to: 4 })
  world.pass(5_000)
  t.same(world.serving, ['0:1', '1:1', '2:1', '3:1'])
  t.same([...world.processes.keys()].slice(0, 2), before, 'the others go on')
  t.match(world.results.changes, [{ ok: true, exitCode: 0, message: '4 workers run (2 before)' }])
  t.equal(world.core.state, 'running')
})

t.test('scaling down drains the last slots and ends when they are gone', async (t) => {
  const world = started(3)
  world.change({ kind: 'scale', to: 1 })
  world.pass(40)
  t.equal(world.results.changes.length, 0, 'they are still draining')
  world.pass(500)
  t.same(world.serving, ['0:1'])
  t.equal(world.processes.size, 1)
  t.match(world.results.changes, [{ ok: true, message: '1 worker runs (3 before)' }])
  t.match(
    world.sent.map(({ message }) => message),
    [
      { type: 'drain', reason: 'scale' },
      { type: 'drain', reason: 'scale' },
    ],
  )
})

t.test('nobody is sent away before those who stay are ready', async (t) => {
  const world = new CoreWorld(release(1, { workers: 3 }))
  world.behaviour = (_, slot) => (slot === 0 ? { ...GOOD, readyAfter: 1_500 } : GOOD)
  world.command({ type: 'start' })
  world.pass(300)
  world.change({ kind: 'scale', to: 1 })
  let fewest = 2
  for (let step = 0; step < 300; step++) {
    world.pass(10)
    fewest = Math.min(fewest, world.serving.length)
  }
  t.equal(fewest, 1)
  t.same(world.serving, ['0:1'])
  t.match(world.results.changes, [{ ok: true }])
})

t.test('nobody is sent away for the sake of one who cannot run', async (t) => {
  for (const moment of [200, 5_000]) {
    const world = new CoreWorld(release(1, { workers: 3 }))
    world.behaviour = (_, slot) => (slot === 0 ? THROWS_AT_BOOT : GOOD)
    world.command({ type: 'start' })
    world.pass(moment)
    world.change({ kind: 'scale', to: 1 })
    world.pass(5_000)
    t.match(world.results.changes, [
      { ok: false, exitCode: 5, message: /^not scaled to 1, 3 workers as before: worker 0/ },
    ])
    t.same(world.serving, ['1:1', '2:1'])
  }
})

t.test('a new slot that cannot run turns the scaling back', async (t) => {
  const world = started(2)
  world.behaviour = (_, slot) => (slot === 3 ? THROWS_AT_BOOT : GOOD)
  world.change({ kind: 'scale', to: 4 })
  world.pass(10_000)
  t.match(world.results.changes, [
    {
      ok: false,
      exitCode: 5,
      message: /not scaled to 4, 2 workers as before: worker 3/,
      failures: [{ slot: 3 }],
    },
  ])
  t.same(world.serving, ['0:1', '1:1'])
  t.equal(world.processes.size, 2)
})

t.test('relative scaling counts from what runs when its turn comes, and stays within bounds', async (t) => {
  const world = started(2)
  for (const by of [1, 1, 1]) world.change({ kind: 'scale', by })
  world.pass(5_000)
  t.equal(world.serving.length, 5)
  t.match(world.results.changes, [
    { message: /^3 workers/ },
    { message: /^5 workers/ },
    { message: /^5 workers/ },
  ])
  world.change({ kind: 'scale', by: -20 })
  world.pass(5_000)
  t.same(world.serving, ['0:1'])
})

t.test('what was scaled stays through a reload until the configuration names another number', async (t) => {
  const world = started(2)
  world.change({ kind: 'scale', to: 3 })
  world.change({ kind: 'reload' })
  world.pass(10_000)
  t.same(world.serving, ['0:2', '1:2', '2:2'])
  world.nextRelease = (generation) => release(generation, { workers: 1 })
  world.change({ kind: 'reload' })
  world.pass(10_000)
  t.same(world.serving, ['0:3'])
})

t.test('changes are done one after the other, in the order in which they were asked for', async (t) => {
  const world = started(2)
  world.change({ kind: 'reload' })
  world.change({ kind: 'scale', to: 3 })
  world.change({ kind: 'restart' })
  world.change({ kind: 'restart' })
  world.pass(30_000)
  t.same(
    world.results.changes.map(({ request, generation, ok }) => [request, generation, ok]),
    [
      [1, 2, true],
      [2, 2, true],
      [3, 3, true],
      [4, 3, true],
    ],
  )
  t.same(world.serving, ['0:3', '1:3', '2:3'])
})

t.test('a restart starts nobody before everybody has left, and states the gap', async (t) => {
  const world = started(3)
  world.change({ kind: 'restart' })
  world.pass(30)
  const old = [...world.processes.values()].filter(({ generation }) => generation === 1)
  t.equal(old.length, 3, 'they drain')
  let sideBySide = 0
  for (let step = 0; step < 500; step++) {
    world.pass(10)
    sideBySide = Math.max(sideBySide, new Set([...world.processes.values()].map((p) => p.generation)).size)
  }
  t.equal(sideBySide, 1)
  t.same(world.serving, ['0:2', '1:2', '2:2'])
  t.match(world.results.changes, [
    { ok: true, generation: 2, message: /no worker took new work for 0\.15 s/ },
  ])
  t.match(
    world.progress.filter(({ event }) => event === 'restarted'),
    [{ generation: 2, gapMs: 151 }],
  )
})

for (const [name, behaviour] of [
  ['is never ready', NEVER_READY],
  ['throws at boot', THROWS_AT_BOOT],
  ['dies after it was ready', DIES_AFTER_READY],
] as const) {
  t.test(`a restart to a release that ${name} starts the one before again`, async (t) => {
    const world = started(2)
    world.behaviour = (generation, slot) => (generation === 2 && slot === 1 ? behaviour : GOOD)
    world.change({ kind: 'restart' })
    world.pass(30_000)
    t.match(world.results.changes, [
      {
        ok: false,
        exitCode: 5,
        generation: 1,
        message: /generation 1 was started again/,
        failures: [{ slot: 1 }],
      },
    ])
    t.same(world.serving, ['0:1', '1:1'])
    t.equal(world.core.state, 'running')
  })
}

t.test('a restart ends although neither release can run, and the slots go on trying', async (t) => {
  const world = started(2)
  world.behaviour = () => THROWS_AT_BOOT
  world.change({ kind: 'restart' })
  world.pass(30_000)
  t.match(world.results.changes, [{ ok: false, exitCode: 5 }])
  world.behaviour = () => GOOD
  world.pass(70_000)
  t.same(world.serving, ['0:1', '1:1'])
})

t.test(
  'a worker killed by a stop signal is not replaced before a group signal has had time to arrive',
  async (t) => {
    const world = started()
    const forks = world.forks
    const [victim] = world.processes.keys()
    world.kill(victim ?? 0, 'SIGINT')
    world.pass(90)
    t.equal(world.forks, forks)
    world.command({ type: 'stop', reason: 'SIGINT', urgent: false })
    world.pass(5_000)
    t.equal(world.forks, forks)
    t.match(world.results.ended, { ok: true })
  },
)

t.test('a worker that got a stop signal of its own is replaced first and drained then', async (t) => {
  const world = started()
  const [victim] = world.processes.keys()
  world.command({ type: 'workerSignalled', id: victim ?? 0, signal: 'SIGTERM' })
  world.pass(150)
  t.equal(world.processes.size, 3, 'its replacement is starting, it still serves')
  world.pass(500)
  t.equal(world.processes.size, 2)
  t.notOk(world.processes.has(victim ?? 0))
  t.same(world.serving, ['0:1', '1:1'])
})

t.test('open clients do not make a worker ready whose predecessor listened', async (t) => {
  const world = started(1)
  const [old] = world.processes.keys()
  world.command({ type: 'workerListening', id: old ?? 0, address: ':8080' })
  world.behaviour = () => NEVER_READY
  world.change({ kind: 'reload' })
  world.pass(50)
  const id = Math.max(...world.processes.keys())
  world.command({ type: 'workerReady', id, by: 'clients' })
  t.equal(world.core.pool.get(id)?.state, 'starting')
  world.command({ type: 'workerListening', id, address: ':8080' })
  t.equal(world.core.pool.get(id)?.state, 'ready')
})

t.test('the fork gate bounds live workers and forks, whatever asks for them', async (t) => {
  const world = started(2)
  world.behaviour = () => NEVER_DRAINS
  let most = 0
  for (let round = 0; round < 200; round++) {
    world.change({ kind: 'reload' })
    world.pass(200)
    most = Math.max(most, world.processes.size)
  }
  t.ok(most <= 3 * 2 + 1, `${most} live at once`)
})

t.test(
  'in any order of events no lifecycle is broken, every reload ends, and stop leaves nothing',
  async (t) => {
    const behaviours = [GOOD, GOOD, GOOD, NEVER_READY, THROWS_AT_BOOT, DIES_AFTER_READY, NEVER_DRAINS]
    const event = fc.oneof(
      fc.record({ do: fc.constant('pass' as const), n: fc.integer({ min: 1, max: 3_000 }) }),
      fc.record({ do: fc.constant('reload' as const), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('kill' as const), n: fc.nat(10) }),
      fc.record({ do: fc.constant('signal' as const), n: fc.nat(10) }),
      fc.record({ do: fc.constant('garbage' as const), n: fc.nat(10) }),
      fc.record({ do: fc.constant('refuse' as const), n: fc.constant(0) }),
      fc.record({ do: fc.constant('restart' as const), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('scale' as const), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('scaleBy' as const), n: fc.integer({ min: -2, max: 1 }) }),
    )
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 30 }),
        fc.array(fc.nat(behaviours.length - 1), { minLength: 8, maxLength: 8 }),
        fc.boolean(),
        (events, kinds, isUrgent) => {
          const world = new CoreWorld(release(1))
          const kindOf = (n: number) => behaviours[kinds[n % kinds.length] ?? 0] ?? GOOD
          world.behaviour = (generation, slot) => (generation === 1 ? GOOD : kindOf(generation + slot))
          world.command({ type: 'start' })
          let asked = 0
          for (const { do: what, n } of events) {
            const ids = [...world.processes.keys()]
            const id = ids[n % Math.max(1, ids.length)] ?? -1
            if (what === 'pass') world.pass(n)
            if (what === 'kill') world.kill(id)
            if (what === 'signal') world.command({ type: 'workerSignalled', id, signal: 'SIGTERM' })
            if (what === 'garbage') world.command({ type: 'workerMisbehaved', id, reason: 'garbage' })
            if (what === 'reload' || what === 'restart')
              world.nextRelease = (generation) => release(generation, { workers: n })
            if (what === 'refuse') world.nextRelease = () => 'no'
            if (what === 'reload' || what === 'refuse') {
              asked++
              world.change({ kind: 'reload' })
            }
            if (what === 'restart' || what === 'scale' || what === 'scaleBy') asked++
            if (what === 'restart') world.change({ kind: 'restart' })
            if (what === 'scale') world.change({ kind: 'scale', to: n })
            // A few ups in a row would have more workers than the bound below is for.
            if (what === 'scaleBy') world.change({ kind: 'scale', by: Math.min(n, 0) })
            if (world.processes.size > 3 * 4 + 1) throw new Error(`${world.processes.size} processes`)
          }
          world.pass(600_000)
          const answered = world.results.changes.map(({ request }) => request).sort((a, b) => a - b)
          const expected = Array.from({ length: asked }, (_, index) => index + 1)
          if (String(answered) !== String(expected)) throw new Error(`${asked} asked, answered ${answered}`)
          if (world.core.state === 'reloading') throw new Error('still reloading')
          if (
            world.core.pool.slots.some(
              ({ serving, nextStartAt, replacement }) => !serving && nextStartAt === null && !replacement,
            )
          )
            throw new Error('a slot is neither served nor waiting')
          world.command({ type: 'stop', reason: 'SIGTERM', urgent: isUrgent })
          world.pass(10_000)
          if (world.results.ended === null || world.processes.size > 0) throw new Error('stop left something')
        },
      ),
      { numRuns: 2_000 },
    )
    t.pass('2,000 schedules')
  },
)
