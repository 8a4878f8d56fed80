// Until when a holder may use what it holds.

import t from 'tap'
import { Fence } from '../../src/lease/fence.js'
import { FENCE, FENCE_CLOSE, OVERDUE } from '../../src/lease/timing.js'

t.test('it is passed until a heartbeat was answered', async (t) => {
  const fence = new Fence()
  t.ok(fence.isPassed(0))
  fence.answered(fence.sending(100))
  t.notOk(fence.isPassed(100 + FENCE - 1))
  t.ok(fence.isPassed(100 + FENCE))
})

t.test('it counts from when the heartbeat was sent, however late the answer comes', async (t) => {
  const fence = new Fence()
  const number = fence.sending(0)
  fence.sending(3_000)
  fence.answered(number)
  t.equal(fence.deadline, FENCE)
})

t.test('an answer that comes twice, or out of order, never moves it back or too far', async (t) => {
  const fence = new Fence()
  const first = fence.sending(0)
  const second = fence.sending(1_000)
  fence.answered(second)
  fence.answered(first)
  fence.answered(second)
  fence.answered(99)
  t.equal(fence.deadline, 1_000 + FENCE)
  t.same(fence.state.sent, {}, 'nothing is waited for any more')
})

t.test('a holder that is well has closed before it is killed', async (t) => {
  t.ok(FENCE + FENCE_CLOSE < OVERDUE)
})
