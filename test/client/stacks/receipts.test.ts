// What receipts are worth with servers of other people, directly and through proxies.

import t, { type Test } from 'tap'
import type { GuardedClientOptions } from '../../../src/client/index.js'
import { uninstrumentChildren } from '../../support/clean-children.js'
import { judgeDelivery } from '../../support/judge-delivery.js'
import { newClient } from '../new-client.js'
import { Messages } from './messages.js'
import { HAPROXY, NGINX } from './proxy-process.js'
import { STACKS } from './stacks.js'
import { Way } from './way.js'

uninstrumentChildren()
t.jobs = 2

const through = (t: Test, way: Way, options: Partial<GuardedClientOptions> = {}) => {
  const client = newClient(t, way.url, { url: () => way.url, connectTimeout: '10s', ...options })
  return { client, messages: new Messages(client) }
}

for (const kind of [null, NGINX, HAPROXY]) {
  for (const stack of STACKS) {
    const name = kind === null ? stack.name : `${stack.name} behind ${kind.name}`
    const needs = { ...kind?.needs, ...stack.needs }
    t.test(name, { ...needs, buffered: true }, async (t) => {
      const way = await Way.open(t, stack, kind)
      await t.test('close() brings all of it, in order, and says so', (t) => drains(t, way))
      await t.test('who stops reading is said to have no more than it has', (t) => stopsReading(t, way))
      await t.test('killed in the middle: what was confirmed was there', (t) => isKilled(t, way, 'reject'))
      await t.test('killed in the middle: sent again, nothing is lost', (t) => isKilled(t, way, 'resend'))
    })
  }
}

const drains = async (t: Test, way: Way): Promise<void> => {
  const { client, messages } = through(t, way)
  const begun = way.log.arrivals.length
  for (let size = 0; size < 400; size++) void messages.send(size)
  void messages.send(66_000)
  await client.close()
  await messages.allSettled()
  t.equal(messages.count('received'), 401)
  await way.log.until(() => way.log.closeCodes.size === 1, 'the server to see the end')
  const arrivals = way.log.arrivals.slice(begun)
  t.equal(arrivals.length, 401)
  t.same(judgeDelivery({ sent: messages.sent, arrivals, onUnconfirmed: 'reject', isAllOwed: true }), [])
  t.same([...way.log.closeCodes.values()], [1000])
}

/** More than all buffers on the way can hold: kernels take up to 10 MB for a TCP connection, a library 2 MB more. */
const LARGE = { count: 400, size: 64_000 }

const stopsReading = async (t: Test, way: Way): Promise<void> => {
  const { client, messages } = through(t, way, {
    receiptTimeout: 400,
    maxPending: { bytes: '64M' },
    shouldReconnect: () => false,
  })
  const begun = way.log.arrivals.length
  await messages.send()
  void messages.send(0, 'stop')
  for (let left = LARGE.count; left > 0; left--) void messages.send(LARGE.size)
  await messages.allSettled()
  t.ok(messages.count('FORKSAFE_ERR_CLIENT_FATE_UNKNOWN') > 0, 'some was written and not proved')
  t.ok(messages.count('FORKSAFE_ERR_CLIENT_NOT_SENT') > 0, 'some was never written')
  await client.close()
  await way.kill()
  const arrivals = way.log.arrivals.slice(begun)
  t.same(judgeDelivery({ sent: messages.sent, arrivals, onUnconfirmed: 'reject', isAllOwed: false }), [])
  t.ok(arrivals.length < messages.sent.length, 'it did stop')
  await way.start()
}

const isKilled = async (t: Test, way: Way, onUnconfirmed: 'reject' | 'resend'): Promise<void> => {
  const { client, messages } = through(t, way, { onUnconfirmed })
  const begun = way.log.arrivals.length
  let isEnough = false
  const streamed = messages.stream(200, () => isEnough)
  await way.log.until(() => way.log.arrivals.length > begun + 500, '500 messages at the server')
  await way.kill()
  const there = new Set(way.log.arrivals.slice(begun).map(({ number }) => number))
  const untrue = messages.confirmed.filter((number) => !there.has(number))
  t.equal(untrue.length, 0, 'nothing was confirmed that was not there when it was killed')
  await way.start()
  const again = way.log.arrivals.length
  await way.log.until(() => way.log.arrivals.length > again + 300, '300 more at the next server')
  isEnough = true
  await streamed
  await client.close()
  await way.log.until(
    () => way.log.arrivals.some(({ number }) => number === messages.sent.length),
    'the last',
  )
  const arrivals = way.log.arrivals.slice(begun)
  t.same(judgeDelivery({ sent: messages.sent, arrivals, onUnconfirmed, isAllOwed: true }), [])
  t.equal(client.stats().reconnects, 1)
  if (onUnconfirmed === 'reject') t.ok(messages.count('FORKSAFE_ERR_CLIENT_FATE_UNKNOWN') > 0)
  t.equal(
    messages.count('received') + messages.count('FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'),
    messages.sent.length,
  )
}
