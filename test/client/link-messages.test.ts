// What goes over a link between a standby and the holder: bytes survive, and what has not the right shape is not taken.

import t from 'tap'
import { forwardMessageIn, holderMessageIn, packData, unpackData } from '../../src/client/link-messages.js'

t.test('text and bytes come out as they went in', async (t) => {
  t.equal(unpackData(packData('grüße \u{1f600}')), 'grüße \u{1f600}')
  const bytes = Buffer.from([0, 255, 128, 10, 0])
  const viewed = new Uint8Array([9, 9, 0, 255, 128, 10, 0, 9]).subarray(2, 7)
  for (const data of [bytes, new Uint8Array(bytes), new Uint8Array(bytes).buffer, viewed])
    t.same(unpackData(JSON.parse(JSON.stringify(packData(data)))), bytes)
})

const FORWARD = { t: 'forward', batch: 1, first: 7, data: ['a', { b: 'AA==' }] }

t.test('messages of a standby', async (t) => {
  for (const right of [FORWARD, { ...FORWARD, numbers: [7, 9] }, { ...FORWARD, terms: { 0: { id: 'x' } } }])
    t.equal(forwardMessageIn(right), right)
  const wrong: [string, unknown][] = [
    ['nothing', null],
    ['a text', 'forward'],
    ['a list', [FORWARD]],
    ['another type', { ...FORWARD, t: 'backward' }],
    ['no batch', { ...FORWARD, batch: undefined }],
    ['half a number', { ...FORWARD, first: 1.5 }],
    ['data that are no list', { ...FORWARD, data: 'a' }],
    ['data of another kind', { ...FORWARD, data: ['a', 1] }],
    ['bytes that are no text', { ...FORWARD, data: [{ b: [1] }] }],
    ['numbers that are none', { ...FORWARD, numbers: ['7', 8] }],
    ['terms that are none', { ...FORWARD, terms: 'x' }],
  ]
  for (const [what, value] of wrong) t.equal(forwardMessageIn(value), null, what)
})

t.test('messages of a holder', async (t) => {
  const right: unknown[] = [
    { t: 'answer' },
    {
      t: 'answer',
      confirmed: [[1, 3, 'received', 2]],
      rejected: [[4, 'FORKSAFE_ERR_CLIENT_EXPIRED', 'late']],
    },
    { t: 'bye', lastBatch: 2, unsent: [] },
    {
      t: 'incoming',
      epoch: 1,
      messages: [
        ['a', false],
        [{ b: '' }, true],
      ],
    },
  ]
  for (const value of right) t.equal(holderMessageIn(value), value)
  const wrong: [string, unknown][] = [
    ['nothing', undefined],
    ['a name that every object has', { t: 'constructor' }],
    ['a level that is none', { t: 'answer', confirmed: [[1, 3, 'eaten', 2]] }],
    ['a range without an end', { t: 'answer', confirmed: [[1, null, 'received', 2]] }],
    ['a range that is none', { t: 'answer', confirmed: [5] }],
    ['a code that is none', { t: 'answer', rejected: [[4, 'toString', 'x']] }],
    ['no reason', { t: 'answer', rejected: [[4, 'FORKSAFE_ERR_CLIENT_EXPIRED']] }],
    ['no batch', { t: 'bye', unsent: [] }],
    ['numbers that are none', { t: 'bye', lastBatch: 1, unsent: [null] }],
    ['messages that are no list', { t: 'incoming', epoch: 1, messages: {} }],
    ['a message without data', { t: 'incoming', epoch: 1, messages: [[]] }],
  ]
  for (const [what, value] of wrong) t.equal(holderMessageIn(value), null, what)
})
