// A log that is not as it was written: cut anywhere, and with any byte changed. What was accepted is delivered as it was,
// or counted as damaged; nothing is altered, and nothing else is lost.

import t from 'tap'
import { encodeMessage, messageSize } from '../../../src/relay/spool/record.js'
import { HEADER_SIZE } from '../../../src/relay/spool/segment-header.js'
import { MemoryDisk } from '../../support/memory-disk.js'
import { idsOf, messageOf, openIn, spoolFolder, takeAll } from '../../support/spools.js'

const COUNT = 5
const BODY = Buffer.from('0123456789')

/** A log with five messages, as bytes, with where each begins. */
const writeLog = async (
  folder: string,
): Promise<{ path: string; bytes: Buffer; starts: number[]; disk: MemoryDisk }> => {
  const disk = new MemoryDisk()
  const spool = await openIn(folder, { disk })
  for (let number = 1; number <= COUNT; number++) await spool.append(messageOf(number, { body: BODY }))
  await spool.close()
  const path = disk.paths().find((each) => each.endsWith('.log')) ?? ''
  const size = messageSize(messageOf(1, { body: BODY }))
  const starts = Array.from({ length: COUNT + 1 }, (_, index) => HEADER_SIZE + index * size)
  return { path, bytes: disk.data(path) ?? Buffer.alloc(0), starts, disk }
}

t.test('cut anywhere, all whole messages are there, and the next one is kept behind them', async (t) => {
  const folder = spoolFolder(t)
  const { path, bytes, starts, disk } = await writeLog(folder)
  t.equal(bytes.length, starts.at(-1))
  for (let length = 0; length <= bytes.length; length++) {
    const cut = disk.afterKill()
    cut.setData(path, Buffer.from(bytes.subarray(0, length)))
    const spool = await openIn(folder, { disk: cut })
    const whole = Math.max(0, starts.filter((start) => start <= length).length - 1)
    const ids = idsOf(await takeAll(spool))
    const added = await spool.append(messageOf(9))
    await spool.close()
    const again = await openIn(folder, { disk: cut })
    const idsAgain = idsOf(await takeAll(again))
    await again.close()
    const expected = Array.from({ length: whole }, (_, index) => `m${index + 1}`)
    const isRight =
      JSON.stringify([ids, added.outcome, idsAgain]) ===
      JSON.stringify([expected, 'accepted', [...expected, 'm9']])
    if (!isRight || cut.descriptors > 0) {
      t.strictSame(
        [ids, added, idsAgain, cut.descriptors],
        [expected, 'accepted', [...expected, 'm9'], 0],
        `cut at ${length}`,
      )
      return
    }
  }
  t.pass(`${bytes.length + 1} cuts`)
})

t.test('with any byte changed, all messages but that one are there, unaltered', async (t) => {
  const folder = spoolFolder(t)
  const { path, bytes, starts, disk } = await writeLog(folder)
  for (let at = 0; at < bytes.length; at++) {
    const damaged = disk.afterKill()
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 0x41
    damaged.setData(path, changed)
    const spool = await openIn(folder, { disk: damaged })
    const messages = await takeAll(spool)
    const { quarantined } = spool.status()
    await spool.close()
    const hit = starts.findLastIndex((start) => start <= at)
    const expected = Array.from({ length: COUNT }, (_, index) => `m${index + 1}`).filter(
      (_, index) => index !== hit,
    )
    const isUnaltered = messages.every(({ body }) => body.equals(BODY))
    const isKept = damaged.paths().some((each) => each.includes('quarantine'))
    if (
      JSON.stringify(idsOf(messages)) !== JSON.stringify(expected) ||
      !isUnaltered ||
      quarantined !== 1 ||
      !isKept
    ) {
      t.strictSame(
        [idsOf(messages), isUnaltered, quarantined, isKept],
        [expected, true, 1, true],
        `byte ${at}`,
      )
      return
    }
  }
  t.pass(`${bytes.length} bytes`)
})

t.test('damage that comes while it is open costs the damaged message alone', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const told: string[] = []
  const spool = await openIn(folder, { disk, warn: (text) => told.push(text) })
  for (let number = 1; number <= COUNT; number++) await spool.append(messageOf(number, { body: BODY }))
  const path = disk.paths().find((each) => each.endsWith('.log')) ?? ''
  const size = encodeMessage({ ...messageOf(1, { body: BODY }), seq: 1, acceptedAt: 0 }, 0).length
  const bytes = disk.data(path)
  if (bytes !== undefined) bytes[HEADER_SIZE + 2 * size + 30] = 7
  spool.rewind()
  t.strictSame(idsOf(await takeAll(spool)), ['m1', 'm2', 'm4', 'm5'])
  t.match(told.join('\n'), /passed over/)
  t.equal(await spool.fate('m3'), null)
  await spool.close()
})

t.test('a record within a body is none, also where the message around it is torn', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const spool = await openIn(folder, { disk })
  const forged = encodeMessage({ ...messageOf(7), seq: 2 ** 40, acceptedAt: 1 }, 0)
  await spool.append(messageOf(1))
  await spool.append(messageOf(2, { isBinary: true, body: Buffer.concat([forged, Buffer.alloc(100)]) }))
  await spool.close()
  const path = disk.paths().find((each) => each.endsWith('.log')) ?? ''
  const bytes = disk.data(path) ?? Buffer.alloc(0)
  const torn = disk.afterKill()
  torn.setData(path, Buffer.from(bytes.subarray(0, bytes.length - 20)))
  const again = await openIn(folder, { disk: torn })
  t.match(await again.append(messageOf(3)), { outcome: 'accepted', seq: 2 })
  t.strictSame(idsOf(await takeAll(again)), ['m1', 'm3'])
  await again.close()
})

t.test('what is missing of a segment is told', async (t) => {
  const folder = spoolFolder(t)
  const disk = new MemoryDisk()
  const limits = { maxBytes: 256 * 1024 }
  const spool = await openIn(folder, { disk, limits })
  for (let number = 1; number <= 40; number++)
    await spool.append(messageOf(number, { body: Buffer.alloc(1_500) }))
  await spool.close()
  const [path] = disk.paths().filter((each) => each.endsWith('.log'))
  const bytes = disk.data(path ?? '')
  if (path === undefined || bytes === undefined) return t.fail('no segment')
  const shorter = disk.afterKill()
  const size = messageSize(messageOf(1, { body: Buffer.alloc(1_500) }))
  shorter.setData(path, Buffer.from(bytes.subarray(0, HEADER_SIZE + 2 * size)))
  const told: string[] = []
  const again = await openIn(folder, { disk: shorter, limits, warn: (text) => told.push(text) })
  t.match(told.join(), /are missing; what was in them is lost/)
  t.equal(again.status().quarantined, 1)
  t.strictSame(idsOf(await takeAll(again)).slice(0, 2), ['m1', 'm2'])
  await again.close()
})

t.test('a spool that cannot be opened leaves nothing open', async (t) => {
  const folder = spoolFolder(t)
  const { disk } = await writeLog(folder)
  for (let at = 1; ; at++) {
    const failing = disk.afterKill()
    failing.fault = { at, code: 'EIO' }
    const spool = await openIn(folder, { disk: failing }).catch(() => null)
    if (spool !== null) {
      await spool.close()
      break
    }
    if (failing.descriptors > 0) return t.fail(`call ${at}: ${failing.descriptors} descriptors are left`)
  }
  t.pass('at every call')
})

t.test('a beginning that was never finished is taken away', async (t) => {
  const folder = spoolFolder(t)
  const { path, disk } = await writeLog(folder)
  const next = path.replace('0000000001', '0000000002')
  const left = disk.afterKill()
  left.setData(next, Buffer.from('FORK'))
  const spool = await openIn(folder, { disk: left })
  t.equal(idsOf(await takeAll(spool)).length, COUNT)
  t.notOk(left.paths().includes(next))
  t.match(await spool.append(messageOf(6)), { outcome: 'accepted', seq: 6 })
  await spool.close()
})

t.test('of two slots of progress one may be torn', async (t) => {
  const folder = spoolFolder(t)
  const { disk } = await writeLog(folder)
  const spool = await openIn(folder, { disk })
  await takeAll(spool)
  const receipt = { level: 'received', epoch: 1, rtt: 1 } as const
  spool.settle(1, { state: 'delivered', receipt })
  await spool.close()
  const later = await openIn(folder, { disk })
  await takeAll(later)
  later.settle(2, { state: 'delivered', receipt })
  await later.close()
  const path = disk.paths().find((each) => each.endsWith('progress')) ?? ''
  const whole = disk.data(path) ?? Buffer.alloc(0)
  for (let at = 0; at < whole.length; at++) {
    const torn = disk.afterKill()
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 0x41
    torn.setData(path, bytes)
    const again = await openIn(folder, { disk: torn })
    const [first] = await takeAll(again)
    if (first?.seq !== 2 && first?.seq !== 3) return t.fail(`byte ${at}: begins with ${first?.id}`)
    await again.close()
  }
  t.pass(`${whole.length} bytes`)
})
