// Which pong proves what.

import t from 'tap'
import { PingBarrier } from '../../src/client/ping-barrier.js'

const barrier = (): PingBarrier => new PingBarrier(() => '0123456789abcdef')

t.test('the pong of a ping proves everything that was written before the ping', async (t) => {
  const pings = barrier()
  const payload = pings.raise(7, 1_000)
  t.ok(pings.isOutstanding)
  t.same(pings.answered(payload, 1_030), { covers: 7, rtt: 30 })
  t.notOk(pings.isOutstanding)
})

t.test('what answers no ping proves nothing', async (t) => {
  const pings = barrier()
  const payload = pings.raise(7, 0)
  for (const forged of ['', payload.slice(1), `${payload}0`, payload.toUpperCase(), '1'])
    t.equal(pings.answered(forged, 1), null, JSON.stringify(forged))
  t.ok(pings.answered(payload, 1))
  t.equal(pings.answered(payload, 2), null, 'nor does a second answer')
})

t.test('no two payloads are the same, whatever chance says', async (t) => {
  const pings = barrier()
  t.equal(new Set([pings.raise(1, 0), pings.raise(1, 0), pings.raise(1, 0)]).size, 3)
})

t.test('a peer may answer only the latest of several pings, or an early one late', async (t) => {
  const pings = barrier()
  const payloads = [1, 2, 3].map((covers) => pings.raise(covers, covers))
  t.same(pings.answered(payloads[1] ?? '', 10), { covers: 2, rtt: 8 }, 'it proves what that ping covered')
  t.notOk(pings.isOutstanding, 'and nobody waits for the others')
})

t.test('pings of a connection that is gone are not answered by the next', async (t) => {
  const pings = barrier()
  const payload = pings.raise(7, 0)
  pings.reset()
  t.equal(pings.answered(payload, 1), null)
})
