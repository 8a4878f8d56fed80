// Who has crossed a limit: samples, beats and a clock in, breaches out.

import fc from 'fast-check'
import t from 'tap'
import { type LimitEffect, type WatchedWorker, WorkerLimits } from '../../src/primary/worker-limits.js'
import type { LimitBreach, LimitSettings } from '../../src/shared/limits.js'

const MIB = 1024 ** 2

const NONE: LimitSettings = {
  maxMemory: 0,
  maxMemoryHard: 0,
  maxCpu: 0,
  maxCpuPeriod: 30_000,
  maxUptime: 0,
  hangTimeout: 0,
}

const worker = (id: number, limits: Partial<LimitSettings>, readyAt = 0): WatchedWorker => ({
  id,
  readyAt,
  limits: { ...NONE, ...limits },
  canBeat: true,
})

interface Fake {
  worker: WatchedWorker
  rssBytes: number
  /** Percent of a core. */
  load: number
  isHung: boolean
}

/** Workers that use what they are told to and answer at once, and a primary that looks when it is due. */
class World {
  now = 0
  readonly limits: WorkerLimits
  readonly fakes = new Map<number, Fake>()
  readonly breaches: (LimitBreach & { id: number; at: number })[] = []
  readonly asked: LimitEffect[] = []
  readonly #cpu = new Map<number, number>()
  #countedAt = 0

  constructor(workers: readonly WatchedWorker[], random: () => number = () => 0.5) {
    this.limits = new WorkerLimits(random)
    for (const each of workers) this.add(each)
  }

  add(each: WatchedWorker): void {
    this.fakes.set(each.id, { worker: each, rssBytes: 50 * MIB, load: 0, isHung: false })
    this.#look()
  }

  set(id: number, change: Partial<Fake>): void {
    this.#count()
    Object.assign(this.fakes.get(id) ?? {}, change)
  }

  pass(ms: number): this {
    const until = this.now + ms
    for (;;) {
      const next = this.limits.nextLookAt
      if (next === null || next > until) break
      this.now = Math.max(this.now, next)
      this.#look()
    }
    this.now = until
    return this
  }

  /** Nobody runs, and then everybody does; the primary first. */
  sleep(ms: number): void {
    this.now += ms
    this.#look()
  }

  get told(): string[] {
    return this.breaches.map(({ id, limit }) => `${id} ${limit}`)
  }

  #look(): void {
    this.#carryOut(
      this.limits.look(
        [...this.fakes.values()].map((fake) => fake.worker),
        this.now,
      ),
    )
  }

  #carryOut(effects: readonly LimitEffect[]): void {
    for (const effect of effects) {
      this.asked.push(effect)
      if (effect.type === 'breached') this.breaches.push({ ...effect.breach, id: effect.id, at: this.now })
      if (effect.type === 'askBeat' && this.fakes.get(effect.id)?.isHung === false)
        this.limits.beat(effect.id)
      if (effect.type !== 'sample') continue
      this.#count()
      const samples = effect.ids.flatMap((id) => {
        const fake = this.fakes.get(id)
        return fake === undefined
          ? []
          : [[id, { rssBytes: fake.rssBytes, cpuTimeMs: this.#cpu.get(id) ?? 0 }] as const]
      })
      this.#carryOut(this.limits.sampled(new Map(samples), this.now))
    }
  }

  #count(): void {
    const ms = this.now - this.#countedAt
    this.#countedAt = this.now
    for (const [id, { load }] of this.fakes) this.#cpu.set(id, (this.#cpu.get(id) ?? 0) + (ms * load) / 100)
  }
}

t.test('without limits nothing is asked, and nothing is to be looked at', async (t) => {
  const world = new World([worker(1, {}), worker(2, {})])
  world.pass(1_000_000)
  t.same(world.asked, [])
  t.equal(world.limits.nextLookAt, null)
})

t.test('a worker over maxMemory is told of once, with its figures, and no other one', async (t) => {
  const limits = { maxMemory: 100 * MIB, maxMemoryHard: 200 * MIB }
  const world = new World([worker(1, limits), worker(2, limits)])
  world.pass(60_000)
  t.same(world.breaches, [])
  world.set(1, { rssBytes: 130 * MIB })
  world.pass(5_000)
  t.match(world.breaches, [{ id: 1, limit: 'maxMemory', value: 130 * MIB, max: 100 * MIB }])
  world.pass(60_000)
  t.equal(world.breaches.length, 1)
  world.set(1, { rssBytes: 201 * MIB })
  world.pass(5_000)
  t.same(world.told, ['1 maxMemory', '1 maxMemoryHard'])
})

t.test('exactly the limit is not over it', async (t) => {
  const world = new World([worker(1, { maxMemory: 100 * MIB })])
  world.set(1, { rssBytes: 100 * MIB })
  world.pass(60_000)
  t.same(world.breaches, [])
})

t.test('a busy moment is no breach of maxCpu, a busy period is', async (t) => {
  const world = new World([worker(1, { maxCpu: 80 }), worker(2, { maxCpu: 80 })])
  world.pass(30_000)
  world.set(1, { load: 100 })
  world.pass(20_000)
  world.set(1, { load: 10 })
  world.pass(60_000)
  t.same(world.breaches, [], '20 s at 100%, of 30 s')
  world.set(1, { load: 95 })
  world.pass(20_000)
  t.same(world.breaches, [])
  world.pass(15_000)
  t.match(world.breaches, [{ id: 1, limit: 'maxCpu', max: 80 }])
  t.ok((world.breaches[0]?.value ?? 0) > 80 && (world.breaches[0]?.value ?? 0) <= 95)
})

t.test('a worker is judged by its CPU only when it has been ready for a whole period', async (t) => {
  const world = new World([worker(1, { maxCpu: 50 })])
  world.set(1, { load: 200 })
  world.pass(29_000)
  t.same(world.breaches, [])
  world.pass(6_000)
  t.match(world.breaches, [{ id: 1, limit: 'maxCpu', value: 200, max: 50 }])
})

t.test('workers started together reach maxUptime at different times, within a tenth', async (t) => {
  let last = 0
  const random = () => (last = (last + 0.37) % 1)
  const world = new World(
    [1, 2, 3, 4, 5, 6, 7, 8].map((id) => worker(id, { maxUptime: 3_600_000 })),
    random,
  )
  world.pass(3_600_000 * 0.9 - 1)
  t.same(world.breaches, [])
  world.pass(3_600_000 * 0.2 + 1)
  t.equal(world.breaches.length, 8)
  const times = world.breaches.map(({ at }) => at).sort((a, b) => a - b)
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
  t.ok(Math.min(...gaps) > 60_000, `gaps of ${gaps.join(', ')} ms`)
})

t.test('a loop that stands still is told of after hangTimeout, and no sooner', async (t) => {
  const world = new World([worker(1, { hangTimeout: 8_000 }), worker(2, { hangTimeout: 8_000 })])
  world.pass(20_000)
  world.set(1, { isHung: true })
  world.pass(7_900)
  t.same(world.breaches, [])
  world.pass(4_000)
  t.match(world.breaches, [{ id: 1, limit: 'hangTimeout', max: 8_000 }])
  t.ok((world.breaches[0]?.value ?? 0) >= 8_000)
})

t.test('a loop that turns again in time starts with a clean record', async (t) => {
  const world = new World([worker(1, { hangTimeout: 8_000 })])
  for (let round = 0; round < 20; round++) {
    world.set(1, { isHung: true })
    world.pass(7_000)
    world.set(1, { isHung: false })
    world.limits.beat(1)
    world.pass(50)
  }
  t.same(world.breaches, [])
})

t.test(
  'a worker of another version, which may not know the question, is not judged by its silence',
  async (t) => {
    const world = new World([{ ...worker(1, { hangTimeout: 8_000 }), canBeat: false }])
    world.set(1, { isHung: true })
    world.pass(100_000)
    t.same(world.asked, [])
  },
)

t.test('after everybody was stopped, however long and often, nobody is at fault', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 1_000_000 })), {
        maxLength: 30,
      }),
      (naps) => {
        const world = new World([worker(1, { hangTimeout: 8_000 })])
        for (const [awake, asleep] of naps) {
          world.pass(awake)
          // The question is on its way when everybody falls asleep; the answer comes after the primary has looked.
          world.set(1, { isHung: true })
          world.pass(world.limits.nextLookAt === null ? 0 : Math.max(0, world.limits.nextLookAt - world.now))
          world.sleep(asleep)
          world.set(1, { isHung: false })
          world.limits.beat(1)
        }
        return world.breaches.length === 0
      },
    ),
  )
  t.end()
})

t.test('who hangs is found although the primary is late again and again', async (t) => {
  const world = new World([worker(1, { hangTimeout: 8_000 })])
  world.set(1, { isHung: true })
  for (let round = 0; round < 20; round++) {
    world.pass(1_000)
    world.sleep(3_000)
  }
  t.match(world.breaches, [{ id: 1, limit: 'hangTimeout' }])
})

t.test('whoever is not ready any more is forgotten', async (t) => {
  const world = new World([worker(1, { maxMemory: 100 * MIB, hangTimeout: 4_000 })])
  world.pass(1_000)
  world.set(1, { isHung: true })
  world.pass(1_500)
  world.fakes.clear()
  world.pass(100_000)
  t.same(world.breaches, [])
  t.equal(world.limits.nextLookAt, null)
})
