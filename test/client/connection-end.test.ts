// How an attempt or a connection ended, in words and in what follows.

import t from 'tap'
import {
  connectionEnd,
  type Ending,
  failed,
  overdue,
  parseRetryAfter,
  refused,
} from '../../src/client/connection-end.js'

const end = (more: Partial<Ending>) =>
  connectionEnd({
    ...{ wasOpen: false, wasUpgraded: false, code: 1006, reason: '', failure: null },
    ...{ target: 'wss://host/path', shouldReconnect: () => true },
    ...more,
  })

t.test('Retry-After is seconds or a date; what is neither, or over, counts for nothing', async (t) => {
  const now = Date.UTC(2026, 0, 1)
  for (const [header, ms] of [
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 00:00:30 GMT', 30_000],
    ['0', null],
    ['Wed, 31 Dec 2025 00:00:00 GMT', null],
    ['1.5', null],
    ['-3', null],
    ['soon', null],
    ['2026-01-01T00:01:00Z', null],
    ['', null],
    [undefined, null],
  ] as const)
    t.equal(parseRetryAfter(header, now), ms, String(header))
})

t.test('Retry-After counts with 429 and 503 alone', async (t) => {
  for (const [status, ms] of [
    [429, 5_000],
    [503, 5_000],
    [500, null],
    [302, null],
  ] as const)
    t.equal(refused('wss://host/', status, '5').retryAfter, ms, String(status))
})

t.test('a connection that had been open ends with its close code and no error', async (t) => {
  t.match(end({ wasOpen: true, wasUpgraded: true, code: 1012, reason: 'restart' }), {
    ...{ error: null, code: 1012, reason: 'restart', isFatal: false },
    message: 'closed with code 1012 "restart"',
  })
  t.equal(
    end({ wasOpen: true, failure: failed('the peer was silent') }).message,
    'closed with code 1006 (the peer was silent)',
  )
})

t.test('it says whether the peer ended it, or we did', async (t) => {
  t.ok(end({ wasOpen: true, wasUpgraded: true, code: 1009 }).isByPeer)
  t.ok(end({ wasOpen: true }).isByPeer, 'a reset too')
  t.notOk(end({ wasOpen: true, code: 1009, failure: failed('the message is too large') }).isByPeer)
})

t.test('an attempt that failed says why', async (t) => {
  t.equal(end({ failure: overdue('too late') }).error, 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT')
  t.match(end({}), {
    error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
    message: 'wss://host/path was closed with code 1006 before it was open',
  })
})

t.test('whether it is worth another attempt is asked with status or close code', async (t) => {
  const asked: unknown[] = []
  const shouldReconnect: Ending['shouldReconnect'] = (question) => asked.push(question) > 99
  t.ok(end({ shouldReconnect, failure: refused('wss://host/', 403, undefined) }).isFatal)
  t.ok(end({ shouldReconnect, wasUpgraded: true, code: 1008 }).isFatal)
  t.ok(end({ shouldReconnect, wasOpen: true, wasUpgraded: true, code: 4001, reason: 'other' }).isFatal)
  t.same(asked, [
    { status: 403, code: null, reason: '' },
    { status: null, code: 1008, reason: '' },
    { status: null, code: 4001, reason: 'other' },
  ])
})
