// The judge of deliveries finds each kind of untruth, and nothing else.

import t from 'tap'
import { type Arrival, type Delivery, judgeDelivery, type Outcome } from './judge-delivery.js'

const RECEIVED = { level: 'received' }
const UNKNOWN = { code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN' }
const NOT_SENT = { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' }

/** `arrived` as '1a 2a 3b': number and connection. */
const judged = (outcomes: Outcome[], arrived: string, more: Partial<Delivery> = {}): string[] =>
  judgeDelivery({
    sent: outcomes.map((outcome, index) => ({ number: index + 1, size: 9, outcome })),
    arrivals: arrived.split(' ').flatMap((text): Arrival[] => {
      const [, number, connection] = /^(\d+)(\w)$/.exec(text) ?? []
      return connection === undefined ? [] : [{ number: Number(number), connection, size: 9 }]
    }),
    onUnconfirmed: 'reject',
    isAllOwed: false,
    ...more,
  })

const RESEND = { onUnconfirmed: 'resend', isAllOwed: true } as const

t.test('the truth is no violation', async (t) => {
  t.same(judged([RECEIVED, RECEIVED], '1a 2a'), [])
  t.same(judged([RECEIVED, UNKNOWN, NOT_SENT, RECEIVED], '1a 4b'), [])
  t.same(judged([RECEIVED, UNKNOWN, RECEIVED], '1a 3b 2a'), [], 'late from an old connection')
  t.same(judged([RECEIVED, RECEIVED, RECEIVED], '1a 2a 2b 3b', RESEND), [])
  t.same(judged([RECEIVED, RECEIVED, RECEIVED], '1a 2b 2a 3b 3a', RESEND), [])
})

t.test('each untruth is found', async (t) => {
  t.match(judged([RECEIVED, RECEIVED], '1a'), [/2 was confirmed as received and never arrived/])
  t.match(judged([RECEIVED, null], '1a 2a'), [/2 was never settled/])
  t.match(judged([RECEIVED, NOT_SENT], '1a 2a'), [/2 was rejected with .*NOT_SENT and arrived/])
  t.match(judged([RECEIVED, { code: 'ECONNRESET' }], '1a'), [/2 was rejected with ECONNRESET/])
  t.match(judged([RECEIVED], '1a 2a'), [/2 of 9 characters arrived, and was not sent like that/])
  t.match(judged([RECEIVED, RECEIVED], '2a 1a'), [/1 arrived behind 2 on connection a/])
  t.match(judged([RECEIVED, UNKNOWN], '1a 2a 2b'), [/2 arrived twice/])
})

t.test('each untruth of sending again is found', async (t) => {
  t.match(judged([RECEIVED, RECEIVED, RECEIVED], '1a 3a 2b 3b', RESEND), [
    /2 arrived for the first time behind 3/,
  ])
  t.match(judged([RECEIVED, UNKNOWN], '1a', RESEND), [/2 was lost/, /2 was rejected, though/])
  t.match(judged([RECEIVED, UNKNOWN], '1a 2a', RESEND), [/2 was rejected, though/])
  t.same(judged([RECEIVED, UNKNOWN, RECEIVED], '1a 3b 2a', { ...RESEND, isAllOwed: false }), [], 'given up')
  t.same(judged([RECEIVED, UNKNOWN], '1a', { ...RESEND, isAllOwed: false }), [])
})
