// The worker's side of the pacing, with a primary that answers as the test says.

import t from 'tap'
import { MAX_OPEN_ASKS, type WorkerMessage } from '../../src/shared/protocol.js'
import { DialAsks } from '../../src/worker/dial-asks.js'
import { eventually, withDeadline } from '../support/deadline.js'

const setUp = ({ patience = 60_000, isWritten = true } = {}) => {
  const told: WorkerMessage[] = []
  const asks = new DialAsks({
    patience,
    tell: async (message) => {
      told.push(message)
      return isWritten
    },
  })
  const passed: string[] = []
  const dial = (name: string, { signal } = new AbortController()) =>
    asks.pass({ origin: `ws://${name}`, signal }).then(() => void passed.push(name))
  return { told, asks, passed, dial }
}

t.test('each dial asks, and passes when the primary says so', async (t) => {
  const { told, asks, passed, dial } = setUp()
  const [a, b] = [dial('a'), dial('b')]
  t.same(told, [
    { type: 'askDial', id: 1, origin: 'ws://a' },
    { type: 'askDial', id: 2, origin: 'ws://b' },
  ])
  asks.answered({ type: 'dialLater', id: 1, wait: 5 })
  asks.answered({ type: 'mayDial', id: 2 })
  await b
  t.same(passed, ['b'])
  asks.answered({ type: 'mayDial', id: 1 })
  asks.answered({ type: 'mayDial', id: 77 })
  await a
  t.same(passed, ['b', 'a'])
})

t.test('a primary that is silent, or later than it said, holds nobody back and is told so', async (t) => {
  const { told, asks, dial } = setUp({ patience: 20 })
  const silent = dial('silent')
  const late = dial('late')
  asks.answered({ type: 'dialLater', id: 2, wait: 30 })
  const begun = performance.now()
  await withDeadline(silent, { what: 'the patience to end' })
  await withDeadline(late, { what: 'the patience after the moment that was named to end' })
  t.ok(performance.now() - begun >= 49)
  t.same(told.slice(2), [
    { type: 'withdrawDial', id: 1 },
    { type: 'withdrawDial', id: 2 },
  ])
})

t.test('a channel that is closed, before or afterwards, holds nobody back', async (t) => {
  const { told, asks, dial } = setUp()
  const all = [dial('a'), ...Array.from({ length: 2 * MAX_OPEN_ASKS }, (_, n) => dial(String(n)))]
  asks.closed()
  await withDeadline(Promise.all(all), { what: 'everybody to pass' })
  await dial('later')
  t.equal(told.length, MAX_OPEN_ASKS, 'nobody is asked any more')
  const gone = setUp({ isWritten: false })
  await withDeadline(gone.dial('a'), { what: 'a question that cannot be asked' })
})

t.test('who does not want to dial any more leaves, and the primary is told', async (t) => {
  const { told, dial } = setUp()
  const controller = new AbortController()
  const leaving = dial('a', controller)
  controller.abort()
  await withDeadline(leaving, { what: 'the end of the wait' })
  t.same(told, [
    { type: 'askDial', id: 1, origin: 'ws://a' },
    { type: 'withdrawDial', id: 1 },
  ])
  await dial('b', controller)
  t.equal(told.length, 2, 'what is not wanted from the start is not asked')
})

t.test('no more is asked at once than the primary takes; the rest is asked as answers come', async (t) => {
  const { told, asks, passed, dial } = setUp()
  for (let n = 1; n <= MAX_OPEN_ASKS; n++) void dial(`${n}`)
  const controller = new AbortController()
  void dial('leaves', controller)
  void dial('last')
  t.equal(told.length, MAX_OPEN_ASKS)
  controller.abort()
  t.equal(told.length, MAX_OPEN_ASKS, 'it had not been asked')
  asks.answered({ type: 'mayDial', id: 1 })
  t.same(told.at(-1), { type: 'askDial', id: MAX_OPEN_ASKS + 1, origin: 'ws://last' })
  await eventually(
    () => passed,
    (names) => names.length === 2,
    { what: 'two to be through' },
  )
  t.same(passed, ['leaves', '1'])
  asks.closed()
})

t.test('a turn that came with a lease is used by one dial there, which does not ask', async (t) => {
  const { told, asks, dial } = setUp()
  asks.mayDial('ws://a')
  await withDeadline(dial('a'), { what: 'the dial that has its turn' })
  t.same(told, [])
  const elsewhere = dial('b')
  const again = dial('a')
  t.same(told, [
    { type: 'askDial', id: 1, origin: 'ws://b' },
    { type: 'askDial', id: 2, origin: 'ws://a' },
  ])
  asks.closed()
  await withDeadline(Promise.all([elsewhere, again]), { what: 'the others to pass' })
})
