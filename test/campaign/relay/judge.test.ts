// Histories that break a promise of a relay are found out, each by the rule that it breaks; those that keep them all are not.

import t from 'tap'
import type { UpstreamEvent } from '../../support/exclusive-log.js'
import { judgeRelay, type Published } from './judge.js'

const published = (number: number, more: Partial<Published> = {}): Published => ({
  key: 'k',
  number,
  begun: 10 * number,
  accepted: 10 * number + 5,
  isRefused: false,
  ...more,
})

const life = (...numbers: number[]): UpstreamEvent[] => connection(1, 0, numbers)

const connection = (name: number, from: number, numbers: readonly number[]): UpstreamEvent[] => [
  { at: from, type: 'open', connection: name, identity: 'feed', who: 'nobody' },
  ...numbers.map(
    (number, index): UpstreamEvent => ({
      at: from + index + 1,
      type: 'got',
      connection: name,
      sender: 'k',
      number,
    }),
  ),
]

const gone = (name: number, at: number): UpstreamEvent => ({ at, type: 'gone', connection: name, how: 'fin' })

const THREE = [1, 2, 3].map((number) => published(number))

t.test('histories that keep every promise', async (t) => {
  t.same(judgeRelay([life(1, 2, 3)], THREE), [])
  t.same(judgeRelay([life(1, 2), life(1, 2, 3)], THREE), [], 'sent again after a crash, in the same order')
  t.same(
    judgeRelay([[...connection(1, 0, [1, 2]), gone(1, 10), ...connection(2, 11, [2, 3])]], THREE),
    [],
    'again over the next connection',
  )
  t.same(
    judgeRelay([life(2, 1)], [published(1, { accepted: 30 }), published(2)]),
    [],
    'neither was after the other',
  )
  t.same(judgeRelay([life(1)], [published(1, { accepted: null })]), [], 'its caller does not know')
  t.same(judgeRelay([life(1)], [published(1), published(2, { accepted: null, isRefused: true })]), [])
  t.same(judgeRelay([], []), [])
})

t.test('histories that break one', async (t) => {
  const histories: Record<string, [UpstreamEvent[][], Published[]]> = {
    'k-2 was accepted and never arrived': [[life(1, 3)], THREE],
    'k-4 arrived and was never published': [[life(1, 2, 3, 4)], THREE],
    'k-3 was refused and arrived all the same': [
      [life(1, 2, 3)],
      [published(1), published(2), published(3, { accepted: null, isRefused: true })],
    ],
    'k-2 came twice over connection 1.1': [[life(1, 2, 2, 3)], THREE],
    'k-1 arrived behind k-2, which was handed in after it was accepted': [[life(2, 1, 3)], THREE],
    'two upstream connections at once for 5.0 ms: #2 of nobody beside #1 of nobody': [
      [[...connection(1, 0, [1, 2]), ...connection(2, 5, [3]), gone(1, 10), gone(2, 12)]],
      THREE,
    ],
  }
  for (const [violation, [lives, messages]] of Object.entries(histories))
    t.same(judgeRelay(lives, messages), [violation])
  const many = Array.from({ length: 9 }, (_, at) => published(at + 1))
  t.same(judgeRelay([[]], many).slice(-2), [
    'k-5 was accepted and never arrived',
    '… and 4 more: was accepted and never arrived',
  ])
})
