// What the forwarder decides, event by event.

import t from 'tap'
import { ForwarderCore } from '../../src/relay/forwarder-core.js'
import type { Entry, ForwarderEffect, ForwarderEvent } from '../../src/relay/forwarder-effects.js'
import type { SpooledMessage } from '../../src/relay/messages.js'

const NOW = 1_000_000
const MAX_AGE = 10_000
const LIMITS = { window: { count: 4, bytes: 100 }, maxAge: MAX_AGE, maxAttempts: 2, rest: 60_000 }
const RECEIPT = { level: 'received', epoch: 1, rtt: 1 } as const

const message = (seq: number, over: Partial<SpooledMessage> = {}): SpooledMessage => ({
  id: `m${seq}`,
  seq,
  key: null,
  isBinary: false,
  acceptedAt: NOW,
  expiresAt: null,
  body: Buffer.from('x'),
  ...over,
})

class Driver {
  readonly core = new ForwarderCore(LIMITS)
  readonly sent: Entry[] = []
  /** How many messages it asked for, each time. */
  readonly takes: number[] = []
  now = NOW

  say(event: ForwarderEvent): string[] {
    const effects = this.core.handle(event, this.now)
    for (const effect of effects) {
      if (effect.type === 'send') this.sent.push(...effect.entries)
      if (effect.type === 'take') this.takes.push(effect.count)
    }
    return effects.filter(({ type }) => type !== 'take').map(inWords)
  }

  entry(id: string): Entry {
    const entry = this.sent.findLast(({ message }) => message.id === id)
    if (entry === undefined) throw new Error(`${id} was not sent`)
    return entry
  }

  delivered(...ids: string[]): string[] {
    return this.say({
      type: 'delivered',
      receipts: ids.map((id) => ({ entry: this.entry(id), receipt: RECEIPT })),
    })
  }

  back(ids: readonly string[], over: Partial<{ wasWritten: boolean; unsendable: string }> = {}): string[] {
    const { wasWritten = true, unsendable = null } = over
    const failures = ids.map((id) => ({ entry: this.entry(id), wasWritten, unsendable }))
    return this.say({ type: 'failed', failures })
  }

  /** The connection ends, and the client gives up. */
  end(code: number, isByPeer = true): void {
    this.say({ type: 'lost', code, reason: 'bad', isByPeer })
    this.say({ type: 'refused', why: 'closed' })
  }
}

const inWords = (effect: ForwarderEffect): string => {
  const ids = (entries: readonly Entry[]): string => entries.map(({ message }) => message.id).join(' ')
  switch (effect.type) {
    case 'send':
      return `send ${ids(effect.entries)}`
    case 'settle':
      return effect.entries.map(({ message, settlement }) => `${settlement?.state} ${message.id}`).join(', ')
    case 'park':
      return `park ${effect.entry.message.id}`
    case 'rest':
      return `rest ${effect.ms}`
    case 'watch':
      return `watch ${effect.isOn}`
    case 'suspected':
      return `suspected ${effect.count}`
    default:
      return effect.type
  }
}

/** With an open connection and these in flight. */
const sending = (...seqs: number[]): Driver => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'taken', messages: seqs.map((seq) => message(seq)) })
  driver.say({ type: 'opened' })
  return driver
}

t.test('it takes, dials, sends in order and settles in order', async (t) => {
  const driver = new Driver()
  t.same(driver.say({ type: 'more' }), ['connect'])
  t.same(driver.say({ type: 'taken', messages: [message(1), message(2)] }), ['watch true'])
  t.same(driver.say({ type: 'opened' }), ['send m1 m2', 'watch false'])
  t.same(driver.delivered('m2'), [], 'm1 is before it')
  t.same(driver.delivered('m1'), ['delivered m1, delivered m2'])
  t.same(driver.takes, [4, 2])
})

t.test('a connection that ends while nothing waits is dialled again', async (t) => {
  const driver = sending(1)
  driver.delivered('m1')
  driver.say({ type: 'lost', code: 1001, reason: '', isByPeer: true })
  t.same(driver.say({ type: 'refused', why: 'closed' }), ['connect'])
})

t.test('more that comes while it takes is not forgotten', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'more' })
  t.same(driver.takes, [4], 'one call at a time')
  driver.say({ type: 'taken', messages: [] })
  t.same(driver.takes, [4, 4])
})

t.test('a connection that is cut has everything sent again, in order', async (t) => {
  const driver = sending(1, 2, 3)
  driver.delivered('m1')
  driver.end(1006)
  t.same(driver.back(['m3', 'm2']), ['connect', 'watch true'])
  t.match(driver.say({ type: 'opened' }), ['send m2 m3'])
})

t.test('what a closing client hands back before it says why waits for what it says', async (t) => {
  const driver = sending(1)
  t.same(driver.back(['m1']), ['watch true'])
  driver.end(1006)
  t.equal(driver.core.line, 'dialling')
})

t.test('a connection that only moves keeps what it has', async (t) => {
  const driver = sending(1, 2)
  driver.say({ type: 'lost', code: 1000, reason: '', isByPeer: false })
  t.same(driver.say({ type: 'opened' }), [], 'the client itself sends it again')
  t.same(driver.delivered('m1', 'm2'), ['delivered m1, delivered m2'])
})

t.test('suspects go one by one; who ends the connection again by itself is parked', async (t) => {
  const driver = sending(1, 2, 3)
  driver.end(1008)
  t.match(driver.back(['m1', 'm2', 'm3']), ['suspected 3', 'connect'])
  t.match(driver.say({ type: 'opened' }), ['send m1'])
  t.same(driver.delivered('m1'), ['send m2', 'delivered m1'])
  driver.end(1008)
  t.same(driver.back(['m2']), ['connect'], 'once')
  t.match(driver.say({ type: 'opened' }), ['send m2'])
  driver.end(1007)
  t.match(driver.back(['m2']), ['park m2', 'connect'])
  t.match(driver.say({ type: 'opened' }), ['send m3'], 'the rest goes on')
  t.same(driver.delivered('m3'), [], 'm2 is not parked yet')
  t.same(driver.say({ type: 'parked', entry: driver.entry('m2') }), ['parked m2, delivered m3'])
})

t.test('what was not written is not suspected, nor anything where the end was our own', async (t) => {
  const driver = sending(1, 2)
  driver.end(1011)
  driver.back(['m1'])
  driver.back(['m2'], { wasWritten: false })
  driver.say({ type: 'opened' })
  t.same(driver.delivered('m1'), ['send m2', 'delivered m1'])
  const ours = sending(1, 2)
  ours.end(1009, false)
  ours.back(['m1', 'm2'])
  t.match(ours.say({ type: 'opened' }), ['send m1 m2'])
})

t.test('an upstream that refuses us is asked again after a rest, and nothing is lost', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'taken', messages: [message(1)] })
  t.same(driver.say({ type: 'refused', why: '401' }), ['rest 60000'])
  t.same(driver.takes, [4, 3], 'it goes on taking')
  t.same(driver.say({ type: 'rested' }), ['connect'])
  t.match(driver.say({ type: 'opened' }), ['send m1'])
})

t.test('1008 without a message in flight is a refusal', async (t) => {
  const driver = sending(1)
  driver.delivered('m1')
  driver.say({ type: 'lost', code: 1008, reason: '', isByPeer: true })
  t.match(driver.say({ type: 'refused', why: '1008' }), ['rest 60000'])
})

t.test('what expires or grows too old while it waits is settled as that', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  const messages = [message(1, { expiresAt: NOW + 5_000 }), message(2, { acceptedAt: NOW + 1 })]
  driver.say({ type: 'taken', messages })
  driver.now = NOW + 5_000
  t.same(driver.say({ type: 'tick' }), ['expired m1'])
  driver.now = NOW + 1 + MAX_AGE
  t.same(driver.say({ type: 'tick' }), ['park m2'])
})

t.test('what has expired is not sent when the connection opens', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'taken', messages: [message(1, { expiresAt: NOW + 5_000 }), message(2)] })
  driver.now = NOW + 6_000
  t.match(driver.say({ type: 'opened' }), ['send m2', 'expired m1'])
})

t.test(
  'what cannot be sent at all is parked; a disk that does not take it is asked at the next tick',
  async (t) => {
    const driver = sending(1, 2)
    t.same(driver.back(['m1'], { unsendable: 'too large' }), ['park m1'])
    t.same(driver.say({ type: 'parkFailed', entry: driver.entry('m1') }), ['watch true'])
    t.same(driver.delivered('m2'), [])
    t.same(driver.say({ type: 'tick' }), ['park m1', 'watch false'])
    t.same(driver.say({ type: 'parked', entry: driver.entry('m1') }), ['parked m1, delivered m2'])
  },
)

t.test('what an operator drops is not sent', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'taken', messages: [message(1), message(2)] })
  t.same(driver.say({ type: 'dropped', id: 'm1' }), [])
  t.match(driver.say({ type: 'opened' }), ['send m2'])
  t.same(driver.delivered('m2'), ['delivered m2'])
})

t.test('a stop waits for what is in flight, and sends no more', async (t) => {
  const driver = sending(1)
  driver.say({ type: 'taken', messages: [] })
  t.same(driver.say({ type: 'stop' }), [])
  t.same(driver.delivered('m1'), ['delivered m1', 'stopped'])
  t.same(driver.say({ type: 'more' }), [])
  t.same(new Driver().say({ type: 'stop' }), ['stopped'])
})

t.test('its window is bounded, in messages and in bytes', async (t) => {
  const driver = new Driver()
  driver.say({ type: 'more' })
  driver.say({ type: 'taken', messages: [message(1, { body: Buffer.alloc(80) })] })
  driver.say({ type: 'opened' })
  t.same(driver.takes, [4], 'no room in bytes')
  driver.delivered('m1')
  t.same(driver.takes, [4, 4])
  driver.say({ type: 'taken', messages: [2, 3, 4, 5].map((seq) => message(seq)) })
  t.same(driver.takes, [4, 4], 'no room in messages')
})
