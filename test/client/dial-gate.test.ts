// A client and the gate before its dials; who installs one in earnest is the runtime of a worker.

import t, { type Test } from 'tap'
import { type GuardedClientOptions, guardedClient } from '../../src/client/index.js'
import { type Dial, passDialGate, setDialGate } from '../../src/shared/dial-gate.js'
import { withDeadline } from '../support/deadline.js'
import { recordingUpstream } from '../support/recording-upstream.js'

let clients = 0
const newClient = (t: Test, options: GuardedClientOptions) => {
  const client = guardedClient(`gated ${++clients}`, { closeTimeout: 500, ...options })
  t.teardown(() => client.terminate())
  return client
}

/** A gate that opens when the test says so. */
const gate = (t: Test) => {
  const dials: (Dial & { open: () => void })[] = []
  let tellNext: () => void = () => {}
  t.teardown(
    setDialGate(
      (dial) =>
        new Promise((resolve) => {
          dial.signal.addEventListener('abort', () => resolve(), { once: true })
          dials.push({ ...dial, open: resolve })
          tellNext()
        }),
    ),
  )
  const someone = (): Promise<unknown> =>
    withDeadline(
      new Promise<void>((resolve) => {
        tellNext = resolve
        if (dials.length > 0) resolve()
      }),
      { what: 'a client at the gate' },
    )
  return { dials, someone }
}

t.test('without a gate there is nothing to wait for', async (t) => {
  t.equal(
    passDialGate('ws://a', () => AbortSignal.abort()),
    null,
  )
  const undo = setDialGate(async () => {})
  t.ok(passDialGate('ws://a', () => AbortSignal.abort()) instanceof Promise)
  undo()
  t.equal(
    passDialGate('ws://a', () => AbortSignal.abort()),
    null,
  )
})

t.test('the gate is asked after url, with its origin, and before headers and the first packet', async (t) => {
  const upstream = await recordingUpstream(t)
  const { dials, someone } = gate(t)
  const asked: string[] = []
  const client = newClient(t, {
    url: () => {
      asked.push('url')
      return `${upstream.url}/feed?token=not-shown`
    },
    headers: () => {
      asked.push('headers')
      return {}
    },
  })
  const connected = client.connect()
  await someone()
  t.equal(dials[0]?.origin, upstream.url, 'nothing but scheme, host and port')
  t.same(asked, ['url'])
  t.equal(client.state, 'connecting')
  t.equal(upstream.connections.length, 0)
  dials[0]?.open()
  await withDeadline(connected, { what: 'the connection' })
  t.same(asked, ['url', 'headers'])
})

t.test('the wait is not counted into connectTimeout; all else is', async (t) => {
  const upstream = await recordingUpstream(t)
  const { dials, someone } = gate(t)
  const client = newClient(t, { url: upstream.url, connectTimeout: 100 })
  const connected = client.connect()
  await someone()
  await withDeadline(new Promise((resolve) => setTimeout(resolve, 150)), { what: 'more than connectTimeout' })
  t.equal(client.state, 'connecting')
  dials[0]?.open()
  await withDeadline(connected, { what: 'the connection' })

  upstream.behaviour.hangsUpgrade = true
  dials.length = 0
  const late = newClient(t, { url: upstream.url, connectTimeout: 100, backoff: { min: '1m', max: '1m' } })
  const rejected = t.rejects(late.connect(), { code: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT' })
  await someone()
  dials[0]?.open()
  await withDeadline(rejected, { what: 'the deadline of the attempt' })
})

t.test('a client that is closed, or not wanted any more, leaves the gate without a dial', async (t) => {
  const upstream = await recordingUpstream(t)
  const { dials, someone } = gate(t)
  let headers = 0
  const options = { url: upstream.url, headers: () => ({ 'x-n': String(++headers) }) }
  const closed = newClient(t, options)
  const rejected = t.rejects(closed.connect(), { code: 'FORKSAFE_ERR_CLIENT_CLOSED' })
  await someone()
  await withDeadline(closed.close(), { what: 'the close' })
  await rejected
  t.ok(dials[0]?.signal.aborted)

  dials.length = 0
  const controller = new AbortController()
  const unwanted = newClient(t, options)
  const aborted = t.rejects(unwanted.connect(controller), { code: 'FORKSAFE_ERR_CLIENT_ABORTED' })
  await someone()
  controller.abort()
  await aborted
  t.ok(dials[0]?.signal.aborted)
  t.equal(unwanted.state, 'idle')
  t.equal(headers, 0)
  t.equal(upstream.connections.length, 0)
})
