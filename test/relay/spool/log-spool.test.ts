// What a spool does with messages on a real disk: order, repetitions, bounds, dead letters, and all of it after it was
// opened again.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AppendOutcome } from '../../../src/relay/messages.js'
import { readSpool } from '../../../src/relay/spool/open-spool.js'
import { readProgress } from '../../../src/relay/spool/progress.js'
import { nodeFiles } from '../../../src/relay/spool/spool-files.js'
import { eventually } from '../../support/deadline.js'
import { idsOf, messageOf, openIn, RECEIPT, spoolFolder, takeAll } from '../../support/spools.js'

const DELIVERED = { state: 'delivered', receipt: RECEIPT } as const

t.test('messages come out as they went in, in order, and again after it was opened again', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder)
  const given = [
    messageOf(1, { key: 'a', expiresAt: 4_000_000_000_000 }),
    messageOf(2, { isBinary: true, body: Buffer.from([0, 255, 10, 13]) }),
    messageOf(3, { key: 'b', body: Buffer.alloc(600_000, 'x') }),
  ]
  const outcomes = await Promise.all(given.map((message) => spool.append(message)))
  t.strictSame(outcomes, [
    { outcome: 'accepted', id: 'm1', seq: 1 },
    { outcome: 'accepted', id: 'm2', seq: 2 },
    { outcome: 'accepted', id: 'm3', seq: 3 },
  ])
  const asGiven = (all: readonly object[]): unknown => all.map(({ ...each }) => ({ ...each, acceptedAt: 0 }))
  const expected = given.map((message, index) => ({ ...message, seq: index + 1, acceptedAt: 0 }))
  t.strictSame(asGiven(await takeAll(spool)), expected, 'from memory')
  spool.rewind()
  t.strictSame(asGiven(await takeAll(spool)), expected, 'from the file')
  spool.settle(1, DELIVERED)
  await spool.close()
  const again = await openIn(folder)
  t.strictSame(asGiven(await takeAll(again)), expected.slice(1), 'what was settled is not there any more')
  t.strictSame(await again.append(messageOf(4)), { outcome: 'accepted', id: 'm4', seq: 4 })
  await again.close()
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

t.test('an id is taken once, as long as it is remembered', async (t) => {
  const folder = spoolFolder(t)
  let now = 1_000_000
  const limits = { dedupeWindow: 10_000 }
  const spool = await openIn(folder, { limits, clock: () => now })
  const [first, second] = await Promise.all([spool.append(messageOf(1)), spool.append(messageOf(1))])
  t.equal(first.outcome, 'accepted')
  t.match(second, { outcome: 'duplicate', fate: { state: 'queued', seq: 1 } }, 'also at the same moment')
  t.equal((await spool.append(messageOf(1, { body: Buffer.from('other') }))).outcome, 'conflict')
  t.equal((await spool.append(messageOf(1, { key: 'k' }))).outcome, 'conflict')
  await takeAll(spool)
  spool.settle(1, DELIVERED)
  t.match(await spool.append(messageOf(1)), {
    outcome: 'duplicate',
    fate: { state: 'delivered', receipt: RECEIPT },
  })
  await spool.close()
  const again = await openIn(folder, { limits, clock: () => now })
  t.match(await again.append(messageOf(1)), {
    outcome: 'duplicate',
    fate: { state: 'delivered', receipt: null },
  })
  now += 11_500
  await again.append(messageOf(2))
  await takeAll(again)
  again.settle(2, DELIVERED)
  t.equal(await again.fate('m1'), null, 'forgotten')
  t.match(await again.append(messageOf(1, { body: Buffer.from('other') })), { outcome: 'accepted', seq: 3 })
  t.match(await again.fate('m1'), { state: 'queued', seq: 3 })
  t.equal(again.status().duplicates, 1)
  await again.close()
})

t.test('it refuses what goes beyond its bounds, and takes it when there is room again', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder, { limits: { maxMessages: 3, maxBytes: 200_000, dedupeMessages: 1 } })
  const outcomes = await Promise.all([1, 2, 3, 4].map((number) => spool.append(messageOf(number))))
  t.strictSame(
    outcomes.map(({ outcome }) => outcome),
    ['accepted', 'accepted', 'accepted', 'refused'],
  )
  t.match(outcomes[3], {
    refusal: { code: 'FORKSAFE_ERR_RELAY_FULL', message: /maxMessages/, retryAfter: 5 },
  })
  await takeAll(spool)
  for (const seq of [1, 2, 3]) spool.settle(seq, DELIVERED)
  t.equal((await spool.append(messageOf(4))).outcome, 'accepted', 'by count')
  const large = messageOf(5, { body: Buffer.alloc(250_000) })
  t.match(await spool.append(large), { outcome: 'refused', refusal: { message: /maxBytes/ } })
  // Ten times what it may hold, one after the other: what is settled makes room.
  for (let number = 10; number < 210; number++) {
    const outcome = await spool.append(messageOf(number, { body: Buffer.alloc(10_000, `${number}`) }))
    if (outcome.outcome !== 'accepted') {
      t.match(outcome, { outcome: 'accepted' }, `message ${number}`)
      break
    }
    await takeAll(spool)
    spool.settle(outcome.seq, DELIVERED)
    await progressKept(folder, outcome.seq)
  }
  t.ok(spool.status().bytes <= 200_000, `${spool.status().bytes} bytes`)
  await spool.close()
})

t.test('a message that is parked is kept, tried again at the end, or dropped', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder)
  for (const number of [1, 2, 3]) await spool.append(messageOf(number))
  const [one, two] = await takeAll(spool)
  if (one === undefined || two === undefined) return t.fail('nothing was taken')
  await spool.park(one, 'closed with code 1009')
  spool.settle(1, { state: 'parked', reason: 'closed with code 1009' })
  await spool.park(two, 'too old')
  spool.settle(2, { state: 'parked', reason: 'too old' })
  t.match(await spool.fate('m1'), { state: 'parked', reason: 'closed with code 1009' })
  t.match(await spool.append(messageOf(1)), { outcome: 'duplicate', fate: { state: 'parked' } })
  await spool.close()
  const again = await openIn(folder)
  t.strictSame(idsOf(await again.parked()), ['m1', 'm2'])
  t.match(await again.retry('m1'), { outcome: 'accepted', seq: 4 })
  t.equal(await again.retry('m1'), false)
  t.equal(await again.drop('m2'), true)
  t.equal(await again.drop('m2'), false)
  t.match(await again.fate('m1'), { state: 'queued', seq: 4 })
  t.match(await again.fate('m2'), { state: 'dropped' })
  t.strictSame(idsOf(await takeAll(again)), ['m3', 'm1'])
  t.strictSame(await again.parked(), [])
  await again.close()
})

t.test(
  'a message that is dropped while it waits is not handed out, also after it was opened again',
  async (t) => {
    const folder = spoolFolder(t)
    const spool = await openIn(folder)
    for (const number of [1, 2, 3]) await spool.append(messageOf(number))
    t.equal(await spool.drop('m2'), true)
    t.equal(await spool.drop('m2'), false)
    t.equal(await spool.drop('m9'), false)
    t.match(await spool.fate('m2'), { state: 'dropped' })
    t.equal(spool.status().queued, 2)
    await spool.close()
    const again = await openIn(folder)
    t.strictSame(idsOf(await again.list({ limit: 10 })), ['m1', 'm3'])
    t.strictSame(idsOf(await takeAll(again)), ['m1', 'm3'])
    again.settle(1, DELIVERED)
    again.settle(3, DELIVERED)
    t.match(again.status(), { queued: 0, delivered: 2 })
    t.match(await again.fate('m2'), { state: 'dropped' })
    await again.close()
  },
)

t.test('one whose time to live is over is known as such, also after it was opened again', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder)
  await spool.append(messageOf(1))
  await takeAll(spool)
  spool.settle(1, { state: 'expired' })
  await spool.append(messageOf(2))
  await spool.close()
  const again = await openIn(folder)
  t.match(await again.fate('m1'), { state: 'expired' })
  await again.close()
})

t.test('whoever waits is told once when there is something again', async (t) => {
  const spool = await openIn(spoolFolder(t))
  let told = 0
  const forget = spool.onMore(() => told++)
  t.strictSame(await takeAll(spool), [])
  await Promise.all([spool.append(messageOf(1)), spool.append(messageOf(2))])
  await spool.append(messageOf(3))
  t.equal(told, 1)
  t.strictSame(idsOf(await takeAll(spool)), ['m1', 'm2', 'm3'])
  await spool.append(messageOf(4))
  t.equal(told, 2)
  forget()
  await takeAll(spool)
  await spool.append(messageOf(5))
  t.equal(told, 2)
  await spool.close()
})

t.test('a reader that is far behind gets everything once, in order, while more comes in', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder, { limits: { maxMessages: 100_000 } })
  const body = Buffer.alloc(2_000, 'y')
  const expected: string[] = []
  let coming: Promise<AppendOutcome>[] = []
  for (let number = 0; number < 6_000; number++) {
    expected.push(`m${number}`)
    coming.push(spool.append(messageOf(number, { body })))
    if (coming.length === 500) await Promise.all(coming.splice(0))
  }
  await Promise.all(coming)
  coming = []
  const got: string[] = []
  for (let number = 6_000; got.length < 7_000; number++) {
    if (number < 7_000) {
      expected.push(`m${number}`)
      coming.push(spool.append(messageOf(number, { body })))
    } else await Promise.all(coming.splice(0))
    got.push(...idsOf(await spool.take({ count: 37, bytes: 100_000 })))
  }
  t.strictSame(got, expected)
  await spool.close()
})

t.test('it can be looked at from outside while its owner has it open', async (t) => {
  const folder = spoolFolder(t)
  const spool = await openIn(folder)
  for (const number of [1, 2, 3, 4]) await spool.append(messageOf(number))
  const [one] = await takeAll(spool)
  if (one !== undefined) await spool.park(one, 'no')
  spool.settle(1, { state: 'parked', reason: 'no' })
  await spool.drop('m3')
  await progressKept(folder, 1)
  const view = await readSpool(folder)
  t.match(view.status, { queued: 2, parked: 1 })
  t.strictSame(idsOf(await view.list({ limit: 10 })), ['m2', 'm4'])
  t.strictSame(idsOf(await view.list({ limit: 1, after: 2 })), ['m4'])
  t.strictSame(idsOf(await view.parked()), ['m1'])
  await view.close()
  await spool.close()
})

t.test('after close nothing is taken any more', async (t) => {
  const spool = await openIn(spoolFolder(t))
  await spool.close()
  t.match(await spool.append(messageOf(1)), {
    outcome: 'refused',
    refusal: { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE' },
  })
})

/** It follows within 50 ms. */
const progressKept = (folder: string, seq: number): Promise<unknown> =>
  eventually(
    () => readProgress(nodeFiles, folder),
    ({ settledThrough }) => settledThrough >= seq,
    { what: `progress to come to ${seq}` },
  )
