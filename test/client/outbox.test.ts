// What is pending, in order, and how it is counted.

import t from 'tap'
import { type NewEntry, Outbox } from '../../src/client/outbox.js'

const outbox = (count = 10, bytes = 100) => new Outbox<string>({ count, bytes })

const message = (cargo: string, more: Partial<NewEntry<string>> = {}): NewEntry<string> => ({
  ...{ bytes: 10, level: 'received', isLevelFixed: false, expiresAt: null, cargo },
  ...more,
})

const cargoOf = (entries: readonly { cargo: string }[]): string => entries.map(({ cargo }) => cargo).join(' ')

t.test('it takes as many messages and bytes as it may hold, and no more', async (t) => {
  const box = outbox(2, 25)
  box.accept(message('a'))
  t.ok(box.hasRoomFor(15))
  t.notOk(box.hasRoomFor(16), 'bytes')
  box.accept(message('b'))
  t.notOk(box.hasRoomFor(0), 'count')
})

t.test('messages are taken in order, one at least, more while they fit', async (t) => {
  const box = outbox()
  for (const cargo of ['a', 'b', 'c']) box.accept(message(cargo))
  t.equal(cargoOf(box.takeWaiting(1)), 'a')
  t.equal(cargoOf(box.takeWaiting(15)), 'b c')
  t.notOk(box.hasWaiting)
})

t.test(
  'what the peer has is confirmed up to there; what wants more waits for its acknowledgement',
  async (t) => {
    const box = outbox()
    box.accept(message('a'))
    const asked = box.accept(message('b', { level: 'processed' }))
    box.accept(message('c'))
    box.takeWaiting(100)
    t.equal(cargoOf(box.receivedUpTo(2)), 'a')
    t.same([box.confirmed, box.pending], [1, 2])
    t.equal(box.oldestUnacknowledged, asked)
    t.ok(box.confirm(asked))
    t.notOk(box.confirm(asked), 'once')
  },
)

t.test('what is confirmed out of turn leaves the rest as it was', async (t) => {
  const box = outbox()
  for (const level of ['received', 'written', 'received'] as const) box.accept(message(level, { level }))
  box.takeWaiting(100)
  const confirmed = box.confirmBetween(0, 3, ({ level }) => level === 'written')
  t.same([cargoOf(confirmed), box.confirmed, box.pending, box.pendingBytes], ['written', 1, 2, 20])
})

t.test('when the connection is gone everything pending waits again, in its order', async (t) => {
  const box = outbox()
  box.accept(message('asked', { level: 'processed' }))
  for (const cargo of ['b', 'c', 'd']) box.accept(message(cargo))
  for (const entry of box.takeWaiting(20)) entry.writtenAt = 1
  box.receivedUpTo(1)
  t.equal(cargoOf(box.unconfirmed()), 'asked b')
  t.equal(cargoOf(box.neverWritten()), 'c d')
  box.rewind()
  t.equal(cargoOf(box.takeWaiting(100)), 'asked b c d')
})

t.test('accepted = confirmed + rejected + pending', async (t) => {
  const box = outbox()
  const entries = ['a', 'b', 'c'].map((cargo) => box.accept(message(cargo)))
  const [first, second] = entries
  if (first === undefined || second === undefined) throw new Error('not accepted')
  t.ok(box.reject(first))
  t.notOk(box.reject(first), 'once')
  t.ok(box.confirm(second))
  t.same([box.accepted, box.confirmed, box.rejected, box.pending, box.pendingBytes], [3, 1, 1, 1, 10])
  t.equal(box.oldest, 3)
})
