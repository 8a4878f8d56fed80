// When the upstream says no: nobody fights back, however often the application sends or asks.

import { once } from 'node:events'
import t from 'tap'
import { recordingUpstream } from '../support/recording-upstream.js'
import { newClient } from './new-client.js'

const CONNECT_REFUSED = { code: 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED' }

t.test('after a refusal send() rejects at once and dials nothing; connect() tries it again', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 401 })
  const client = newClient(t, upstream.url)
  await t.rejects(client.connect(), CONNECT_REFUSED)
  for (let n = 0; n < 50; n++) {
    await t.rejects(client.send('x'), { ...CONNECT_REFUSED, message: /connect\(\) tries it again/ })
  }
  t.equal(upstream.connections.length, 1)
  t.match(client.stats(), { accepted: 0 })
  upstream.behaviour.refuseWith = null
  await client.connect()
  t.match(await client.send('x'), { level: 'received' })
})

t.test('whoever asks again and again is held to the backoff', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 403 })
  const client = newClient(t, upstream.url, { backoff: { min: 30, max: 60 } })
  const began = performance.now()
  const dialledAt: number[] = []
  client.on('connecting', () => dialledAt.push(performance.now() - began))
  for (let n = 0; n < 5; n++) await t.rejects(client.connect(), CONNECT_REFUSED)
  const pauses = dialledAt.slice(1).map((at, index) => at - (dialledAt[index] ?? 0))
  t.equal(upstream.connections.length, 5)
  t.ok(
    pauses.every((pause) => pause >= 29),
    `pauses of ${pauses.map(Math.round).join(', ')} ms`,
  )
})

t.test('aborting and asking again is held to the backoff too', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 500 })
  const client = newClient(t, upstream.url, { backoff: { min: '1m', max: '1m' } })
  await t.rejects(client.connect(), { code: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED' })
  for (let n = 0; n < 20; n++) {
    const abort = new AbortController()
    const connecting = client.connect({ signal: abort.signal })
    abort.abort()
    await t.rejects(connecting, { code: 'FORKSAFE_ERR_CLIENT_ABORTED' })
  }
  t.equal(upstream.connections.length, 1)
})

t.test('a superseded client stays away', async (t) => {
  const upstream = await recordingUpstream(t)
  const client = newClient(t, upstream.url, { supersededCodes: [4001] })
  await client.send('hello')
  const superseded = once(client, 'superseded')
  upstream.closeAll(4001, 'another session')
  t.same(await superseded, [{ code: 4001, reason: 'another session' }])
  t.equal(client.state, 'idle')
  await t.rejects(client.send('x'), { code: 'FORKSAFE_ERR_CLIENT_SUPERSEDED' })
  t.equal(upstream.connections.length, 1)
  await client.connect()
  t.match(await client.send('x'), { epoch: 2 })
})

t.test(
  'close codes: which are tried again is said by one function, and its failure is no crash',
  async (t) => {
    const upstream = await recordingUpstream(t)
    const asked: unknown[] = []
    const client = newClient(t, upstream.url, {
      shouldReconnect: (question) => {
        asked.push(question)
        return question.code !== 4321
      },
    })
    await client.connect()
    const back = once(client, 'opened')
    upstream.closeAll(1012, 'restart')
    await back
    const refused = once(client, 'refused')
    upstream.closeAll(4321, 'enough')
    t.match(await refused, [{ error: { ...CONNECT_REFUSED, message: /closed with code 4321 "enough"/ } }])
    t.same(asked, [
      { status: null, code: 1012, reason: 'restart' },
      { status: null, code: 4321, reason: 'enough' },
    ])
  },
)
