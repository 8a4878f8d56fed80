// The steps of taking a record, one by one: what is seen in, the next step out. What happens when several take it at
// once is record-schedules.test.ts.

import t from 'tap'
import { RecordTaking } from '../../src/lease/record-taking.js'
import type { RecordEntry, TakingEffect, TakingRules } from '../../src/lease/taking-steps.js'

const RULES: TakingRules = {
  self: 'me',
  poll: 100,
  calmPoll: 1_000,
  lookEvery: 500,
  staleLooks: 3,
  orphanLooks: 2,
  fence: 6_000,
}
const SECONDS = 1_700_000_000

const entry = (n: number, extra: Partial<RecordEntry> = {}): RecordEntry => ({
  n,
  refreshed: 1,
  record: 'owned',
  owner: 'another',
  life: 'alive',
  isOrphan: false,
  ...extra,
})
const released = (n: number): RecordEntry => entry(n, { record: 'released', refreshed: null })
const unwritten = (n: number): RecordEntry => entry(n, { record: 'none', owner: '', life: 'unknown' })
const mine = (n: number): RecordEntry => entry(n, { owner: 'me' })

class Steps {
  readonly taking: RecordTaking
  constructor(rules: Partial<TakingRules> = {}) {
    this.taking = new RecordTaking({ ...RULES, ...rules })
    this.taking.handle({ type: 'started' })
  }

  sees(entries: RecordEntry[], now = 0, mayTake = true): TakingEffect[] {
    return this.taking.handle({ type: 'scanned', entries, mayTake, now, seconds: SECONDS })
  }

  /** The next look, after the wait before it. */
  looks(entries: RecordEntry[], now: number, mayTake = true): TakingEffect[] {
    this.taking.handle({ type: 'waited' })
    return this.sees(entries, now, mayTake)
  }

  /** As far as its making. */
  static making(entries: RecordEntry[]): Steps {
    const steps = new Steps()
    steps.sees(entries)
    steps.taking.handle({ type: 'made', began: 0 })
    return steps
  }

  /** As far as the writing of its owner. */
  static written(entries: RecordEntry[], n: number): Steps {
    const steps = Steps.making(entries)
    steps.sees([...entries, unwritten(n)])
    steps.taking.handle({ type: 'written' })
    return steps
  }
}

t.test('an empty folder begins with the time, so that numbers never go back', async (t) => {
  t.same(new Steps().sees([]), [{ type: 'make', n: SECONDS }])
})

t.test('a free record is taken: made, looked at, written, looked at, held', async (t) => {
  const steps = new Steps()
  t.same(steps.sees([released(7)]), [{ type: 'make', n: 8 }])
  t.same(steps.taking.handle({ type: 'made', began: 0 }), [{ type: 'scan' }])
  t.same(steps.sees([released(7), unwritten(8)]), [{ type: 'write', n: 8 }])
  t.same(steps.taking.handle({ type: 'written' }), [{ type: 'scan' }])
  t.same(steps.sees([released(7), mine(8)]), [{ type: 'held', n: 8 }])
})

t.test('an owner that is dead is followed, and one that lives is waited for', async (t) => {
  t.same(new Steps().sees([entry(7, { life: 'dead' })]), [{ type: 'make', n: 8 }])
  t.same(new Steps().sees([entry(7)]), [
    { type: 'standsBy', n: 7 },
    { type: 'wait', ms: 100, isRandom: false },
  ])
})

t.test('without the kernel lock it only looks, seldom while it knows the owner', async (t) => {
  const steps = new Steps()
  t.same(steps.sees([released(7)], 0, false), [
    { type: 'standsBy', n: null },
    { type: 'wait', ms: 100, isRandom: false },
  ])
  t.same(steps.looks([entry(8)], 100, false), [
    { type: 'standsBy', n: 8 },
    { type: 'wait', ms: 1_000, isRandom: false },
  ])
  t.same(steps.looks([entry(8)], 1_100, false), [{ type: 'wait', ms: 1_000, isRandom: false }])
})

t.test('whom it waits for is told again when it is another', async (t) => {
  const steps = new Steps()
  steps.sees([entry(7)])
  t.same(steps.looks([entry(8)], 100)[0], { type: 'standsBy', n: 8 })
})

t.test('who makes it second looks again', async (t) => {
  const steps = new Steps()
  steps.sees([released(7)])
  t.same(steps.taking.handle({ type: 'exists' }), [{ type: 'scan' }])
})

for (const [what, entries] of [
  ['a higher number', [released(7), unwritten(8), unwritten(9)]],
  ['an owner of its number', [released(7), entry(8)]],
  ['its number used and given back', [released(8)]],
  ['its folder cleared away', [released(7)]],
  ['an owner below it', [entry(7), unwritten(8)]],
  ['another one below it that has not written yet', [released(6), unwritten(7), unwritten(8)]],
] as const) {
  t.test(`after the making it withdraws when it sees ${what}`, async (t) => {
    const steps = Steps.making([released(7)])
    t.same(steps.sees([...entries]), [{ type: 'withdraw', n: 8 }])
    t.same(steps.taking.handle({ type: 'withdrawn' }), [{ type: 'wait', ms: 10, isRandom: true }])
  })
}

t.test('after the writing it withdraws when another came in between, or it took too long', async (t) => {
  t.same(Steps.written([released(7)], 8).sees([mine(8), unwritten(9)]), [{ type: 'withdraw', n: 8 }])
  t.same(Steps.written([released(7)], 8).sees([entry(8)]), [{ type: 'withdraw', n: 8 }])
  t.same(Steps.written([released(7)], 8).sees([mine(8)], 6_001), [{ type: 'withdraw', n: 8 }])
  t.same(Steps.written([released(7)], 8).sees([mine(8)], 6_000), [{ type: 'held', n: 8 }])
})

t.test('an owner that cannot be judged is gone after so many looks without a refresh', async (t) => {
  const steps = new Steps()
  const owner = entry(7, { life: 'unknown' })
  steps.sees([owner], 0)
  for (const now of [500, 700, 1_000]) t.match(steps.looks([owner], now).at(-1), { type: 'wait' })
  t.same(steps.looks([owner], 1_500), [{ type: 'make', n: 8 }])
})

t.test('a refresh, or a look that comes too late, begins the count anew', async (t) => {
  for (const [refreshed, now] of [
    [2, 1_500],
    [1, 2_501],
  ] as const) {
    const steps = new Steps()
    steps.sees([entry(7, { life: 'unknown' })], 0)
    steps.looks([entry(7, { life: 'unknown' })], 500)
    steps.looks([entry(7, { life: 'unknown' })], 1_000)
    steps.looks([entry(7, { life: 'unknown', refreshed })], now)
    for (const later of [500, 1_000])
      t.match(steps.looks([entry(7, { life: 'unknown', refreshed })], now + later).at(-1), { type: 'wait' })
    t.same(steps.looks([entry(7, { life: 'unknown', refreshed })], now + 1_500), [{ type: 'make', n: 8 }])
  }
})

t.test('an orphan that does not refresh is ended, once for so many looks; nobody else is', async (t) => {
  const steps = new Steps()
  const orphan = entry(7, { isOrphan: true })
  steps.sees([orphan], 0)
  t.same(steps.looks([orphan], 500), [{ type: 'wait', ms: 100, isRandom: false }])
  t.same(steps.looks([orphan], 1_000)[0], { type: 'kill', n: 7 })
  t.same(steps.looks([orphan], 1_500), [{ type: 'wait', ms: 100, isRandom: false }])
  const others = new Steps()
  others.sees([entry(7)], 0)
  for (const now of [500, 1_000, 1_500, 2_000]) t.equal(others.looks([entry(7)], now).length, 1)
})

t.test('what is abandoned withdraws what it has, and is over', async (t) => {
  const waiting = new Steps()
  waiting.sees([entry(7)])
  t.same(waiting.taking.handle({ type: 'abandoned' }), [{ type: 'ended' }])
  t.same(waiting.taking.handle({ type: 'abandoned' }), [])
  const written = Steps.written([released(7)], 8)
  t.same(written.taking.handle({ type: 'abandoned' }), [{ type: 'withdraw', n: 8 }])
  t.same(written.taking.handle({ type: 'withdrawn' }), [{ type: 'ended' }])
})

t.test('a copy of its state goes on like itself', async (t) => {
  const steps = Steps.making([released(7)])
  const state = JSON.parse(JSON.stringify(steps.taking.state)) as typeof steps.taking.state
  const copy = new RecordTaking(RULES, state)
  const event = { type: 'scanned', entries: [unwritten(8)], mayTake: true, now: 1, seconds: SECONDS } as const
  t.same(copy.handle(event), steps.taking.handle(event))
  t.same(copy.state, steps.taking.state)
})

t.test('an event that the state does not expect is refused', async (t) => {
  t.throws(() => new RecordTaking(RULES).handle({ type: 'made', began: 0 }), {
    code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION',
  })
})
