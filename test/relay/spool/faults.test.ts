// The disk fails at the n-th call, for every n: what was accepted is there afterwards, what was refused is not, and what
// comes next is accepted again.

import t from 'tap'
import type { AppendOutcome } from '../../../src/relay/messages.js'
import { MemoryDisk } from '../../support/memory-disk.js'
import { idsOf, messageOf, openIn, RECEIPT, spoolFolder, takeAll } from '../../support/spools.js'

/** Segments of 16 KiB, so that some are begun. */
const LIMITS = { maxBytes: 256 * 1024, dedupeMessages: 0 }
const BODY = Buffer.alloc(1_500, 'z')

interface Told {
  accepted: string[]
  refused: string[]
}

const note = (told: Told, outcomes: readonly AppendOutcome[]): void => {
  for (const { outcome, id } of outcomes)
    if (outcome === 'accepted') told.accepted.push(id)
    else if (outcome === 'refused') told.refused.push(id)
}

/** Batches of several sizes, over some segments; null where it could not even be opened. */
const write = async (folder: string, disk: MemoryDisk): Promise<Told | null> => {
  const told: Told = { accepted: [], refused: [] }
  const spool = await openIn(folder, { disk, limits: LIMITS }).catch(() => null)
  if (spool === null) return null
  let number = 0
  for (const size of [1, 3, 1, 7, 2, 9, 1, 1])
    note(
      told,
      await Promise.all(
        Array.from({ length: size }, () => spool.append(messageOf(++number, { body: BODY }))),
      ),
    )
  await spool.close().catch(() => {})
  return told
}

for (const code of ['EIO', 'ENOSPC'])
  for (const after of ['kill', 'crash'] as const)
    t.test(`${code} at the n-th call, then a ${after}: accepted is kept, refused is not`, async (t) => {
      const folder = spoolFolder(t)
      let isClean = false
      let faults = 0
      for (let at = 1; !isClean; at++) {
        const disk = new MemoryDisk()
        disk.fault = { at, code, partly: (at * 131) % 900 }
        const told = await write(folder, disk)
        isClean = !disk.hasFailed
        if (!isClean) faults++
        const left = after === 'kill' ? disk.afterKill() : disk.afterCrash()
        const spool = await openIn(folder, { disk: left, limits: LIMITS })
        const ids = idsOf(await takeAll(spool))
        const accepted = told?.accepted ?? []
        const refused = new Set(told?.refused)
        const again = await spool.append(messageOf(999))
        await spool.close()
        // Whoever could not be told anything else has nothing that was refused.
        const isRight = accepted.every((id) => ids.includes(id)) && !ids.some((id) => refused.has(id))
        const isInOrder =
          JSON.stringify(ids) ===
          JSON.stringify(ids.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))))
        if (!isRight || !isInOrder || again.outcome !== 'accepted' || told?.refused.length === 25) {
          t.strictSame(
            { ids, again: again.outcome },
            { ids: accepted, again: 'accepted' },
            `call ${at}: ${JSON.stringify(told)}`,
          )
          return
        }
      }
      t.ok(faults > 20, `${faults} faults`)
    })

t.test('a full disk refuses until it is freed, and says so', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const told: string[] = []
  const spool = await openIn(folder, { disk, warn: (text) => told.push(text) })
  await spool.append(messageOf(1))
  disk.fault = { at: disk.calls + 1, code: 'ENOSPC', partly: 5 }
  t.match(await spool.append(messageOf(2)), {
    outcome: 'refused',
    refusal: { code: 'FORKSAFE_ERR_RELAY_DISK_FULL', retryAfter: 5 },
  })
  t.match(spool.status().refusing, /full/)
  t.match(await spool.append(messageOf(2)), { outcome: 'accepted', seq: 2 })
  t.equal(spool.status().refusing, null)
  t.strictSame(idsOf(await takeAll(spool)), ['m1', 'm2'])
  t.match(told, [/nothing is accepted: the disk is full/])
  t.equal(disk.paths().filter((path) => path.endsWith('.log')).length, 1, 'on the same segment')
  await spool.close()
})

t.test('after a failed fsync its segment is given up at the last good byte', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const spool = await openIn(folder, { disk })
  await spool.append(messageOf(1))
  // The write, then the fsync.
  disk.fault = { at: disk.calls + 2, code: 'EIO' }
  t.match(await spool.append(messageOf(2)), {
    outcome: 'refused',
    refusal: { code: 'FORKSAFE_ERR_RELAY_DISK' },
  })
  t.match(await spool.append(messageOf(3)), { outcome: 'accepted', seq: 2 })
  await spool.close()
  t.equal(disk.paths().filter((path) => path.endsWith('.log')).length, 2)
  const again = await openIn(folder, { disk: disk.afterKill() })
  t.strictSame(idsOf(await takeAll(again)), ['m1', 'm3'])
  await again.close()
})

t.test('nor does it come back where it could not even be cut off', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  disk.cannotTruncate = true
  const spool = await openIn(folder, { disk })
  await spool.append(messageOf(1))
  disk.fault = { at: disk.calls + 2, code: 'EIO' }
  t.match(await spool.append(messageOf(2)), { outcome: 'refused' })
  await spool.close()
  const again = await openIn(folder, { disk: disk.afterKill() })
  t.match(await again.append(messageOf(3)), { outcome: 'accepted', seq: 2 })
  t.strictSame(idsOf(await takeAll(again)), ['m1', 'm3'])
  await again.close()
})

t.test('what cannot be parked now is not, and nothing is left of it', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const spool = await openIn(folder, { disk })
  await spool.append(messageOf(1))
  const [one] = await takeAll(spool)
  if (one === undefined) return t.fail('nothing was taken')
  let failures = 0
  for (let n = 1; ; n++) {
    disk.hasFailed = false
    disk.fault = { at: disk.calls + n, code: 'ENOSPC' }
    const isParked = await spool.park(one, 'no').then(
      () => true,
      () => false,
    )
    if (isParked && !disk.hasFailed) break
    if (!isParked) failures++
  }
  t.ok(failures >= 4, `${failures} failures`)
  disk.fault = null
  t.notOk(disk.paths().some((path) => path.endsWith('.draft')))
  spool.settle(1, { state: 'parked', reason: 'no' })
  t.strictSame(idsOf(await spool.parked()), ['m1'])
  await spool.close()
})

t.test('progress that cannot be written costs a repetition and nothing else', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const told: string[] = []
  const spool = await openIn(folder, { disk, warn: (text) => told.push(text) })
  await spool.append(messageOf(1))
  await takeAll(spool)
  spool.settle(1, { state: 'delivered', receipt: RECEIPT })
  disk.fault = { at: disk.calls + 1, code: 'EIO' }
  await spool.close()
  t.match(told, [/progress is not kept/])
  const again = await openIn(folder, { disk: disk.afterKill() })
  t.strictSame(idsOf(await takeAll(again)), ['m1'])
  await again.close()
})
