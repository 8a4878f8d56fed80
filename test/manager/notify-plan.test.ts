// What systemd is told and when, with a clock that stands still unless it is moved.

import t from 'tap'
import { type NotifyEvent, type NotifyMessage, NotifyPlan } from '../../src/manager/notify-plan.js'
import type { Progress } from '../../src/shared/progress.js'
import type { Census, SupervisorState } from '../../src/shared/status.js'

const census = (ready: number, more: Partial<Census> = {}): Census => ({
  generation: 1,
  wanted: 2,
  ready,
  live: 2,
  ...more,
})

/** A plan with a clock; every tick that is due comes on time. */
class World {
  now = 0
  readonly said: NotifyMessage[] = []
  readonly #plan = new NotifyPlan(() => String(this.now * 1_000))

  tell(event: NotifyEvent): this {
    this.said.push(...this.#plan.handle(event, this.now))
    return this
  }

  moved(state: SupervisorState, ready = 2, more: Partial<Census> = {}): this {
    return this.tell({ type: 'moved', state, census: census(ready, more) })
  }

  progress(progress: Progress, ready = 2, more: Partial<Census> = {}): this {
    return this.tell({ type: 'progress', progress, census: census(ready, more) })
  }

  pass(ms: number): this {
    const end = this.now + ms
    for (let ticks = 0; ; ticks++) {
      if (ticks > 1_000) throw new Error('a tick is due again and again')
      const next = this.#plan.nextDeadline()
      if (next === null || next > end) break
      this.now = Math.max(this.now, next)
      this.tell({ type: 'tick' })
    }
    this.now = end
    return this
  }

  /** What was said since it was asked last. */
  heard(): NotifyMessage[] {
    return this.said.splice(0)
  }

  started(): this {
    this.tell({ type: 'starting', budget: 60_000 }).moved('running')
    this.heard()
    return this
  }
}

const ready = (slot: number): Progress => ({
  event: 'workerReady',
  slot,
  pid: 1,
  generation: 1,
  by: 'listening',
  ms: 1,
})

const extensions = (messages: NotifyMessage[]): number[] =>
  messages.flatMap(({ EXTEND_TIMEOUT_USEC: by }) => (by === undefined ? [] : Number(by)))

t.test('a clock with fractions asks for no millisecond more than there is', async (t) => {
  const world = new World()
  // Added to it and taken away again, 17,000 is 17,000.000000000004 in floating point.
  world.now = 15_768.115000000002
  world.progress({ event: 'stopping', delay: 0, reason: 'SIGTERM', budget: 12_000 })
  t.equal(world.heard()[0]?.EXTEND_TIMEOUT_USEC, '17000000')
})

t.test('a start is ready once, however long it takes, and tells how far it is', async (t) => {
  const world = new World().tell({ type: 'starting', budget: 60_000 })
  t.same(world.heard(), [{ STATUS: 'starting', EXTEND_TIMEOUT_USEC: '30000000' }])
  world.pass(500).progress(ready(0), 1)
  t.same(world.heard(), [], 'a second has not passed since the last words')
  world.pass(500)
  t.same(world.heard(), [{ STATUS: 'starting: 1 of 2 workers ready' }])
  world.pass(8_000)
  t.same(world.heard(), [])
  world.pass(1_000)
  t.same(world.heard(), [{ EXTEND_TIMEOUT_USEC: '30000000' }])
  world.moved('running')
  t.same(world.heard(), [{ READY: '1', STATUS: '2 of 2 workers ready, generation 1' }])
  world.pass(100_000)
  t.same(world.heard(), [], 'nothing is extended when nothing is under way')
})

t.test('a start gets no more time than its workers may take, and 5 s', async (t) => {
  const world = new World().tell({ type: 'starting', budget: 42_000 }).pass(200_000)
  const by = extensions(world.heard())
  t.same(by, [30e6, 30e6, 27e6, 17e6, 7e6])
})

t.test('a change begins with RELOADING, at that time, and ends with READY', async (t) => {
  const world = new World().started().pass(70_000).moved('reloading')
  t.same(world.heard(), [
    {
      RELOADING: '1',
      MONOTONIC_USEC: '70000000',
      STATUS: 'reading script and configuration: 2 of 2 workers ready',
      EXTEND_TIMEOUT_USEC: '30000000',
    },
  ])
  world.progress({ event: 'reloading', generation: 2, slots: [0, 1] }).pass(1_000)
  t.same(world.heard(), [{ STATUS: 'rolling restart to generation 2: 2 of 2 workers ready' }])
  world.pass(100_000)
  t.same(extensions(world.heard()), new Array(10).fill(30e6))
  world.progress({ event: 'reloaded', generation: 2, ms: 1 }).moved('running', 2, { generation: 2 })
  t.same(world.heard(), [{ READY: '1', STATUS: '2 of 2 workers ready, generation 2' }])
})

t.test('of a change that failed it is said why, until the next one', async (t) => {
  const world = new World().started().moved('reloading')
  const failures = [{ slot: 0, pid: 7, reason: 'exited with code 1: Error: \u001b[31mno\nsuch file' }]
  world.progress({ event: 'reloadFailed', generation: 2, failures }).moved('running')
  t.match(world.heard().at(-1), {
    READY: '1',
    STATUS:
      '2 of 2 workers ready, generation 1; generation 2 was given up: worker 0 exited with code 1: Error: \\x1b[31mno\\nsuch file',
  })
  world.pass(5_000).moved('reloading').moved('running', 2, { generation: 3 })
  t.match(world.heard().at(-1), { READY: '1', STATUS: '2 of 2 workers ready, generation 3' })
})

t.test('a change that is asked for during the start is a part of the start', async (t) => {
  const world = new World().tell({ type: 'starting', budget: 60_000 }).moved('reloading', 0)
  world.moved('starting', 0).moved('reloading', 1).moved('running')
  t.same(
    world.heard().map((message) => [message.READY, message.RELOADING]),
    [
      [undefined, undefined],
      ['1', undefined],
    ],
  )
})

t.test('a stop is told once, with its reason, and gets the time of its budget', async (t) => {
  const world = new World().started().moved('stopping')
  world.progress({ event: 'stopping', delay: 0, reason: 'SIGTERM', budget: 35_000 })
  t.same(world.heard(), [
    {
      STOPPING: '1',
      STATUS: 'stopping within 35s (SIGTERM): 2 workers left',
      EXTEND_TIMEOUT_USEC: '30000000',
    },
  ])
  world.pass(500).progress(gone(0), 1, { live: 1 }).pass(99_500)
  const said = world.heard()
  t.same(extensions(said), [30e6, 20e6, 10e6])
  t.match(said[0], { STATUS: 'stopping within 35s (SIGTERM): 1 worker left' })
  world
    .moved('stopped', 0, { live: 0 })
    .tell({ type: 'ended', message: 'stopped; 1 workers had to be killed' })
  t.same(world.heard(), [{ STATUS: 'stopped; 1 workers had to be killed' }])
  world.pass(100_000)
  t.same(world.heard(), [])
})

t.test('words change at most once a second, and a long status is cut', async (t) => {
  const world = new World().started().pass(1_000)
  for (let crash = 0; crash < 1_000; crash++) {
    world.progress(gone(0), 1).pass(5).progress(ready(0), 2).pass(5)
  }
  t.ok(world.heard().length <= 11)
  world.tell({ type: 'ended', message: 'x'.repeat(10_000) })
  t.equal(world.heard()[0]?.STATUS?.length, 240)
})

const gone = (slot: number): Progress => ({
  event: 'workerExited',
  slot,
  pid: 1,
  generation: 1,
  code: 1,
  signal: null,
  reason: 'exited with code 1',
  expected: false,
})
