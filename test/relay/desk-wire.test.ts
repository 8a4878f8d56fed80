// Batches as bytes: what is put in comes out, and what is no batch is known.

import fc from 'fast-check'
import t from 'tap'
import { decodeBatch, decodeOutcomes, encodeBatch, encodeOutcomes } from '../../src/relay/desk-wire.js'
import type { AppendOutcome, Fate } from '../../src/relay/messages.js'
import { newMessage } from '../support/memory-spool.js'

const printable = fc.stringMatching(/^[!-~]{1,128}$/)
const message = fc.record(
  {
    id: printable,
    key: fc.option(fc.stringMatching(/^[ -~]{1,128}$/)),
    isBinary: fc.boolean(),
    expiresAt: fc.option(fc.integer({ min: 0, max: 8_640_000_000_000_000 })),
    body: fc.uint8Array({ minLength: 0, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
)

t.test('a batch comes out as it went in', async (t) => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
      t.strictSame(decodeBatch(encodeBatch(messages)), messages)
    }),
    { numRuns: 200 },
  )
})

t.test('what is cut, longer, or something else is no batch', async (t) => {
  const whole = encodeBatch([newMessage('one', { key: 'k' }), newMessage('two')])
  for (let length = 0; length < whole.length; length++)
    t.equal(decodeBatch(whole.subarray(0, length)), null, `${length} bytes`)
  t.equal(decodeBatch(Buffer.concat([whole, Buffer.from('x')])), null)
  t.equal(decodeBatch(Buffer.from('GET / HTTP/1.1\r\n\r\n')), null)
})

t.test('outcomes come out as they went in, and only for as many messages', async (t) => {
  const fate: Fate = {
    ...{ id: 'b', state: 'delivered', seq: 2, acceptedAt: 1, settledAt: 2, reason: null },
    receipt: { level: 'received', epoch: 1, rtt: 3 },
  }
  const outcomes: AppendOutcome[] = [
    { outcome: 'accepted', id: 'a', seq: 1 },
    { outcome: 'duplicate', id: 'b', fate },
    { outcome: 'conflict', id: 'c' },
    {
      outcome: 'refused',
      id: 'd',
      refusal: { code: 'FORKSAFE_ERR_RELAY_FULL', message: 'full', retryAfter: 1 },
    },
  ]
  const text = encodeOutcomes(outcomes)
  t.strictSame(decodeOutcomes(text, outcomes), outcomes)
  t.equal(decodeOutcomes(text, outcomes.slice(1)), null)
  t.equal(decodeOutcomes('{}', outcomes), null)
  t.equal(decodeOutcomes('[1,', outcomes), null)
})
