// The judge of exclusive connections finds each kind of untruth, and nothing else.

import t from 'tap'
import { readUpstreamLog } from './exclusive-log.js'
import { type Demands, judgeConnections, judgeExclusive, violationsOf } from './judge-exclusive.js'
import { percentile } from './percentile.js'
import { readJournal } from './sender-journal.js'

/** `1 open 1 feed A` and so on, with whole numbers for times. */
const logOf = (...lines: string[]) =>
  readUpstreamLog(`${lines.map((line) => line.replace(/^\d+/, (at) => `${at}.000`)).join('\n')}\n`)

const connections = (...lines: string[]) => judgeConnections(logOf(...lines))

t.test('one connection behind the other is no overlap, however it ended', async (t) => {
  const { overlaps, gaps } = connections(
    '10 open 1 feed A',
    '20 frame 1 1000',
    '21 handshake 1',
    '25 open 2 feed B',
    '26 gone 1 closed',
    '30 gone 2 reset',
    '30 open 3 feed C',
    '40 gone 3 fin',
    '47 open 4 feed A',
  )
  t.same(overlaps, [])
  t.same(gaps, [
    { identity: 'feed', ms: 4, from: '#1 of A', to: '#2 of B' },
    { identity: 'feed', ms: 0, from: '#2 of B', to: '#3 of C' },
    { identity: 'feed', ms: 7, from: '#3 of C', to: '#4 of A' },
  ])
})

t.test('a second connection is found beside one that is open, with who and how long', async (t) => {
  const beside = (...between: string[]) =>
    connections('10 open 1 feed A', ...between, '20 open 2 feed B', '50 gone 1 fin', '60 gone 2 fin')
  const found = [{ identity: 'feed', first: '#1 of A', second: '#2 of B', ms: 30 }]
  t.same(beside(), { overlaps: found, gaps: [] })
  t.same(beside('15 frame 1 1000').overlaps, found, 'a Close frame alone ends nothing')
  t.same(beside('15 gone 9 fin').overlaps, found, 'the end of another is not its end')
  t.same(connections('10 open 1 feed A', '20 open 2 orders B').overlaps, [], 'identities are apart')
})

t.test('an overlap that ends with the second, with the log, or between three', async (t) => {
  t.match(connections('10 open 1 feed A', '20 open 2 feed B', '22 gone 2 fin', '90 gone 1 fin').overlaps, [
    { ms: 2 },
  ])
  const [unended] = connections('10 open 1 feed A', '20 open 2 feed B').overlaps
  t.ok(unended !== undefined && unended.ms > 0 && unended.ms < 1, 'an opening in the last line')
  const three = connections('10 open 1 feed A', '20 open 2 feed B', '30 open 3 feed C', '40 gone 1 fin')
  t.same(
    three.overlaps.map(({ first, second }) => `${second} beside ${first}`),
    ['#2 of B beside #1 of A', '#3 of C beside #1 of A', '#3 of C beside #2 of B'],
  )
  const late = connections(
    '10 open 1 feed A',
    '20 open 2 feed B',
    '30 gone 2 fin',
    '50 gone 1 fin',
    '60 open 3 feed C',
  )
  t.match(late.gaps, [{ ms: 10, from: '#1 of A', to: '#3 of C' }], 'a gap begins at the last end')
})

const CALM: Demands = { mayDouble: false, isAllOwed: true }
const AFTER_FAULT: Demands = { mayDouble: true, isAllOwed: false }

/** `arrived` as '1 2 2': numbers of sender 0.7; `journal` as 'sent 1, said 1 received'. */
const messages = (journal: string, arrived: string, demands = CALM): string[] => {
  const log = logOf('1 open 1 feed A', ...arrived.split(' ').map((number) => `2 got 1 0.7 ${number}`))
  const read = readJournal('0.7', `${journal.split(', ').join('\n')}\n`)
  return violationsOf(judgeExclusive(log, [read]), demands)
}

const BOTH_RECEIVED = 'sent 1, sent 2, said 1 received, said 2 received'

t.test('the truth about messages is no violation', async (t) => {
  t.same(messages(`${BOTH_RECEIVED}, exit 0`, '1 2'), [])
  t.same(messages('sent 1, sent 2, said 1 received', '1'), [], 'a sender that was killed owes nothing')
  t.same(messages('sent 1, sent 2, said 1 received', '1 2'), [], 'and may have been heard')
  t.same(messages(`${BOTH_RECEIVED}, exit 0`, '1 2 1 2', AFTER_FAULT), [])
  const unknown = 'sent 1, sent 2, said 1 FORKSAFE_ERR_CLIENT_FATE_UNKNOWN, said 2 received, exit 0'
  t.same(messages(unknown, '2 1', AFTER_FAULT), [], 'what was given up may come late')
})

t.test('each untruth about messages is found', async (t) => {
  t.match(messages(BOTH_RECEIVED, '1', AFTER_FAULT), [/^1 messages confirmed and never arrived: 0\.7 2$/])
  t.match(messages(BOTH_RECEIVED, '2 1', AFTER_FAULT), [/arrived out of order: 0\.7 1 behind 2/])
  t.match(messages(BOTH_RECEIVED, '1 2 2'), [/arrived more than once: 0\.7 2 \(2 times\)/])
  t.match(messages(BOTH_RECEIVED, '1 2 3'), [/arrived and sent by nobody: 0\.7 3/])
  const denied = 'sent 1, said 1 FORKSAFE_ERR_CLIENT_NOT_SENT'
  t.match(messages(denied, '1', AFTER_FAULT), [/rejected as never sent and arrived: 0\.7 1/])
  t.match(messages('sent 1, exit 0', '1'), [/never settled: 0\.7 1/])
  t.match(messages(`${denied}, sent 2, said 2 received, exit 0`, '2'), [
    /never arrived, though .*: 0\.7 1 \(FORKSAFE_ERR_CLIENT_NOT_SENT\)/,
    /rejected, though nothing stood in the way: 0\.7 1/,
  ])
  const stranger = violationsOf(judgeExclusive(logOf('1 open 1 feed A', '2 got 1 x.1 4'), []), CALM)
  t.match(stranger, [/sent by nobody: x\.1 4/])
  const many = `${Array.from({ length: 9 }, (_, index) => `sent ${index}, said ${index} received`).join(', ')}`
  t.match(messages(many, '99', AFTER_FAULT), [/^9 messages confirmed .*0\.7 4 …$/, /nobody/])
})

t.test('of many overlaps a few are named', async (t) => {
  const log = logOf(...Array.from({ length: 9 }, (_, index) => `${index} open ${index} feed A`))
  const told = violationsOf(judgeExclusive(log, []), CALM)
  t.equal(told.length, 6)
  t.equal(told.at(-1), '… and 31 times more')
})

t.test('half a line at the end of a log or a journal is not read', async (t) => {
  t.equal(readUpstreamLog('1.000 open 1 feed A\n2.000 gone 1').length, 1)
  t.equal(readUpstreamLog('1.000 nonsense\nnot a line\n\n').length, 0)
  t.same([...readJournal('0.7', 'sent 1\nsaid 1 recei').sent], [[1, null]])
})

t.test('a percentile is one of the values', async (t) => {
  t.equal(percentile([3, 1, 2], 0.5), 2)
  t.equal(percentile([3, 1, 2], 0.95), 3)
  t.equal(percentile([5], 0.5), 5)
  t.ok(Number.isNaN(percentile([], 0.5)))
})
