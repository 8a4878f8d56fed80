// The holder's side of a link: what it takes for a standby, what it says of it, and what it gives back.

import t from 'tap'
import { type ForeignMessage, Sharing } from '../../src/client/sharing.js'
import { ForksafeError } from '../../src/shared/errors.js'

const scene = () => {
  const taken: ForeignMessage[] = []
  const forgotten: number[] = []
  const sent: unknown[] = []
  const broadcast: unknown[] = []
  const turns: (() => void)[] = []
  const sharing = new Sharing({
    take: (messages) => {
      for (const message of messages) {
        const sequence = taken.push(message)
        message.entry = {
          ...{ sequence, bytes: 1, level: 'received', isLevelFixed: false, expiresAt: null, cargo: message },
          ...{ writtenAt: null, epoch: 0 },
        }
      }
    },
    forget: ({ sequence }) => void forgotten.push(sequence),
    now: () => 7,
    afterTurn: (callback) => void turns.push(callback),
    broadcast: (payload) => void broadcast.push(payload),
  })
  const link = { id: 1, send: (payload: unknown) => void sent.push(payload) }
  sharing.begin()
  sharing.opened(link)
  const endTurn = (): void => {
    for (const callback of turns.splice(0)) callback()
  }
  return { sharing, link, taken, forgotten, sent, broadcast, endTurn }
}

const forward = (batch: number, first: number, ...data: unknown[]) => ({ t: 'forward', batch, first, data })
const RECEIVED = { level: 'received', epoch: 3, rtt: 1 } as const

t.test('what is confirmed in one turn is told together, as ranges', async (t) => {
  const { sharing, link, taken, sent, endTurn } = scene()
  sharing.received(link, forward(1, 10, 'a', 'b', { b: 'AP8=' }, 'd'))
  t.same(
    taken.map(({ data }) => data),
    ['a', 'b', Buffer.from([0, 255]), 'd'],
  )
  for (const message of taken.slice(0, 2)) message.resolve(RECEIVED)
  taken[3]?.resolve(RECEIVED)
  taken[2]?.reject(new ForksafeError('FORKSAFE_ERR_CLIENT_EXPIRED', 'late'))
  taken[2]?.resolve(RECEIVED)
  t.same(sent, [])
  endTurn()
  t.same(sent, [
    {
      t: 'answer',
      confirmed: [
        [10, 11, 'received', 3],
        [13, 13, 'received', 3],
      ],
      rejected: [[12, 'FORKSAFE_ERR_CLIENT_EXPIRED', 'late']],
    },
  ])
})

t.test('at the end it says what it has read last, and what of that it has not written', async (t) => {
  const { sharing, link, taken, forgotten, sent } = scene()
  sharing.received(link, forward(1, 1, 'proved'))
  sharing.received(link, forward(2, 2, 'written', 'unsent'))
  const written = taken[1]?.entry
  if (written != null) written.writtenAt = 5
  taken[0]?.resolve(RECEIVED)
  sharing.stopTaking()
  sharing.received(link, forward(3, 4, 'too late'))
  t.equal(taken.length, 3)
  sharing.bye()
  t.same(sent, [
    { t: 'answer', confirmed: [[1, 1, 'received', 3]] },
    { t: 'bye', lastBatch: 2, unsent: [3] },
  ])
  t.same(forgotten, [2, 3], 'they are not its own any more')
  taken[1]?.resolve(RECEIVED)
  t.equal(sent.length, 2, 'nothing is told of them after that')
})

t.test('who is gone is told nothing, and what it sent goes out all the same', async (t) => {
  const { sharing, link, taken, forgotten, sent, endTurn } = scene()
  sharing.received(link, forward(1, 1, 'a'))
  sharing.closed(link)
  taken[0]?.resolve(RECEIVED)
  endTurn()
  sharing.bye()
  t.same([sent, forgotten], [[], []])
})

t.test('what it does not understand, or knows no sender of, is not taken', async (t) => {
  const { sharing, link, taken } = scene()
  for (const payload of [null, 'x', { t: 'forward' }, forward(1, 1, 5)]) sharing.received(link, payload)
  sharing.received({ ...link, id: 2 }, forward(1, 1, 'a'))
  t.same(taken, [])
})

t.test('what comes in within one turn is told to all together, of one connection at a time', async (t) => {
  const { sharing, broadcast, endTurn } = scene()
  sharing.broadcast('a', false, 1)
  sharing.broadcast(Buffer.from([1]), true, 1)
  sharing.broadcast('b', false, 2)
  endTurn()
  t.same(broadcast, [
    {
      t: 'incoming',
      epoch: 1,
      messages: [
        ['a', false],
        [{ b: 'AQ==' }, true],
      ],
    },
    { t: 'incoming', epoch: 2, messages: [['b', false]] },
  ])
})
