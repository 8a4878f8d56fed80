// A proxy that is given a new configuration while messages flow: what it lets go on goes on, and what it cuts off is
// proved, sent again or told.

import t from 'tap'
import { uninstrumentChildren } from '../../support/clean-children.js'
import { judgeDelivery } from '../../support/judge-delivery.js'
import { newClient } from '../new-client.js'
import { Messages } from './messages.js'
import { HAPROXY, NGINX } from './proxy-process.js'
import { WS } from './stacks.js'
import { Way } from './way.js'

uninstrumentChildren()

const RELOADS = 3

for (const kind of [NGINX, HAPROXY]) {
  for (const onUnconfirmed of ['reject', 'resend'] as const) {
    t.test(`${kind.name} is reloaded and cuts connections off, ${onUnconfirmed}`, kind.needs, async (t) => {
      const way = await Way.open(t, WS, kind, 50)
      const client = newClient(t, way.url, { onUnconfirmed })
      const messages = new Messages(client)
      let isEnough = false
      const streamed = messages.stream(100, () => isEnough)
      for (let reload = 1; reload <= RELOADS; reload++) {
        const begun = way.log.arrivals.length
        await way.log.until(() => way.log.arrivals.length > begun + 200, '200 messages more')
        await way.proxy?.reload()
        await way.log.until(() => way.log.closeCodes.size >= reload, 'the connection to be cut off')
      }
      const begun = way.log.arrivals.length
      await way.log.until(() => way.log.arrivals.length > begun + 200, '200 messages after the last')
      isEnough = true
      await streamed
      await client.close()
      await way.log.until(() => way.log.closeCodes.size === RELOADS + 1, 'the end of the last connection')
      const { arrivals } = way.log
      t.same(judgeDelivery({ sent: messages.sent, arrivals, onUnconfirmed, isAllOwed: true }), [])
      t.equal(client.stats().reconnects, RELOADS)
    })
  }

  t.test(`${kind.name} is reloaded and lets connections be: nobody notices`, kind.needs, async (t) => {
    const way = await Way.open(t, WS, kind)
    const client = newClient(t, way.url)
    const messages = new Messages(client)
    let isEnough = false
    const streamed = messages.stream(100, () => isEnough)
    for (let reload = 1; reload <= RELOADS; reload++) {
      const begun = way.log.arrivals.length
      await way.log.until(() => way.log.arrivals.length > begun + 200, '200 messages more')
      await way.proxy?.reload()
    }
    isEnough = true
    await streamed
    const late = newClient(t, way.url)
    t.match(await late.send('0 text'), { level: 'received' }, 'and the new configuration is at work')
    t.equal(messages.count('received'), messages.sent.length)
    t.match(client.stats(), { reconnects: 0, rejected: 0 })
    await Promise.all([client.close(), late.close()])
  })
}
