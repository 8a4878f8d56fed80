// Random lives of a spool against a model that is a few lists: appended, taken, settled, parked, dropped, opened again, its
// process killed, its machine crashed. The seed is told when one fails.

import fc from 'fast-check'
import t from 'tap'
import type { Spool } from '../../../src/relay/spool.js'
import { MemoryDisk } from '../../support/memory-disk.js'
import { idsOf, messageOf, openIn, RECEIPT, spoolFolder, takeAll } from '../../support/spools.js'

const RUNS = 300
const LIMITS = { maxBytes: 200_000, dedupeMessages: 1_000, maxMessages: 60 }

type Step =
  | { do: 'append'; ids: number[] }
  | { do: 'take'; count: number }
  | { do: 'settle'; count: number; as: 'delivered' | 'expired' | 'parked' }
  | { do: 'drop'; pick: number }
  | { do: 'retry'; pick: number }
  | { do: 'rewind' }
  | { do: 'fault'; after: number; code: 'EIO' | 'ENOSPC' }
  | { do: 'reopen'; how: 'closed' | 'killed' | 'crashed' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      ids: fc.array(fc.nat(80), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      count: fc.integer({ min: 1, max: 6 }),
      as: fc.constantFrom('delivered' as const, 'delivered' as const, 'expired' as const, 'parked' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'rewind' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      after: fc.integer({ min: 1, max: 6 }),
      code: fc.constantFrom('EIO' as const, 'ENOSPC' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('reopen' as const),
      how: fc.constantFrom('closed' as const, 'killed' as const, 'crashed' as const),
    }),
  },
)

/** What ought to be there. */
class Model {
  /** Accepted and not settled, in order. */
  waiting: string[] = []
  /** Settled since progress was surely on disk: they may come again, before those that wait. */
  maybe: string[] = []
  parked: string[] = []
  seen = new Set<string>()
}

const live = async (folder: string, steps: readonly Step[]): Promise<void> => {
  const model = new Model()
  let disk = new MemoryDisk()
  let spool: Spool = await openIn(folder, { disk, limits: LIMITS })
  let taken: { seq: number; id: string }[] = []
  for (const each of steps) {
    switch (each.do) {
      case 'append': {
        const outcomes = await Promise.all(
          each.ids.map((id) => spool.append(messageOf(id, { body: Buffer.alloc(700, `${id}`) }))),
        )
        for (const { outcome, id } of outcomes) {
          const isKnown = model.seen.has(id)
          if (outcome === 'accepted') {
            expect(!isKnown, `${id} was accepted twice`)
            model.waiting.push(id)
            model.seen.add(id)
          } else if (outcome === 'duplicate') expect(isKnown, `${id} is called a repetition`)
          else expect(outcome === 'refused', `${id}: ${outcome}`)
        }
        break
      }
      case 'take':
        taken.push(...(await spool.take({ count: each.count, bytes: 5_000 })))
        expectSame(idsOf(taken), model.waiting.slice(0, taken.length), 'taken in order')
        break
      case 'settle':
        for (const message of taken.splice(0, each.count)) {
          if (each.as === 'parked') {
            const [full] = await spool.list({ limit: 1 })
            if (full === undefined || full.id !== message.id)
              throw new Error(`${message.id} is not the first that waits`)
            const isParked = await spool.park(full, 'no').then(
              () => true,
              () => false,
            )
            if (!isParked) {
              spool.rewind()
              taken = []
              break
            }
            spool.settle(message.seq, { state: 'parked', reason: 'no' })
            model.parked.push(message.id)
          } else
            spool.settle(
              message.seq,
              each.as === 'expired' ? { state: 'expired' } : { state: 'delivered', receipt: RECEIPT },
            )
          expectSame([model.waiting.shift()], [message.id], 'settled from the front')
          model.maybe.push(message.id)
        }
        break
      case 'drop': {
        const id = [...model.waiting, ...model.parked][
          each.pick % Math.max(1, model.waiting.length + model.parked.length)
        ]
        if (id === undefined) break
        const isDropped = await spool.drop(id).catch(() => null)
        if (isDropped !== true) break
        model.waiting = model.waiting.filter((other) => other !== id)
        model.parked = model.parked.filter((other) => other !== id)
        taken = taken.filter((other) => other.id !== id)
        break
      }
      case 'retry': {
        const id = model.parked[each.pick % Math.max(1, model.parked.length)]
        if (id === undefined) break
        const outcome = await spool.retry(id).catch(() => null)
        if (outcome === false) throw new Error(`${id} is parked and cannot be retried`)
        if (outcome?.outcome !== 'accepted') break
        model.parked = model.parked.filter((other) => other !== id)
        model.waiting.push(id)
        break
      }
      case 'rewind':
        spool.rewind()
        taken = []
        break
      case 'fault':
        disk.fault = { at: disk.calls + each.after, code: each.code, partly: 300 }
        break
      case 'reopen': {
        disk.fault = null
        const before = disk
        if (each.how === 'closed') await spool.close()
        const after = each.how === 'crashed' ? disk.afterCrash(0) : disk.afterKill()
        if (each.how !== 'closed') await spool.close()
        disk = each.how === 'closed' ? before : after
        spool = await openIn(folder, { disk, limits: LIMITS })
        taken = []
        const waiting = idsOf(await spool.list({ limit: 1_000 }))
        const repeated = waiting.slice(0, Math.max(0, waiting.length - model.waiting.length))
        expectSame(waiting.slice(repeated.length), model.waiting, `waiting after ${each.how}`)
        if (each.how === 'closed') expectSame(repeated, [], 'nothing is repeated after close')
        expect(
          repeated.every((id) => model.maybe.includes(id)),
          `repeated: ${repeated}`,
        )
        model.waiting = waiting
        model.maybe = model.maybe.filter((id) => !repeated.includes(id))
        break
      }
    }
    if (each.do !== 'reopen')
      expect(
        spool.status().queued === model.waiting.length,
        `${spool.status().queued} queued, ${model.waiting.length} ought to be`,
      )
  }
  disk.fault = null
  spool.rewind()
  expectSame(idsOf(await takeAll(spool)), model.waiting, 'at the end')
  await spool.close()
  expect(disk.descriptors === 0, `${disk.descriptors} descriptors are left`)
}

const expect = (isRight: boolean, what: string): void => {
  if (!isRight) throw new Error(what)
}

const expectSame = (found: readonly unknown[], wanted: readonly unknown[], what: string): void =>
  expect(
    JSON.stringify(found) === JSON.stringify(wanted),
    `${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`,
  )

t.test(`${RUNS} random lives agree with the model`, async (t) => {
  const folder = spoolFolder(t)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => live(folder, steps)),
    { numRuns: RUNS },
  )
  t.pass('all of them')
})
