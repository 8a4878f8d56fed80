// A relay over the real spool, a real client and a real upstream: what is on disk outlives the relay, and an operator's
// commands reach it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { guardedClient } from '../../src/client/index.js'
import { Relay } from '../../src/relay/relay.js'
import { openSpool } from '../../src/relay/spool/open-spool.js'
import { relayDeskPath } from '../../src/shared/relay-desk.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { newMessage } from '../support/memory-spool.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { settingsIn, shortFolder, TestLease, upstreamAt } from '../support/relay-parts.js'
import { runCli } from '../support/run-cli.js'

let clients = 0

const world = (t: Test, url: string) => {
  const folder = shortFolder(t)
  const home = join(folder, 'run')
  mkdirSync(home, { mode: 0o700 })
  const settings = settingsIn(folder, [upstreamAt(url)])
  const lease = new TestLease()
  const warnings: string[] = []
  const start = async (): Promise<Relay> => {
    const relay = new Relay({
      settings,
      deskPath: relayDeskPath(home, 'relay'),
      exclusive: lease.exclusive,
      createClient: (name, options) =>
        guardedClient(`${name} on disk ${++clients}`, {
          ...options,
          exclusive: false,
          backoff: { min: 10, max: 50 },
        }),
      openSpool: (spool, limits) =>
        openSpool({ folder: spool, limits, warn: (text) => void warnings.push(text) }),
      log: () => {},
    })
    t.teardown(() => relay.stop({ timeout: 1_000 }))
    relay.start()
    await eventually(
      () => relay.isOwner,
      (is) => is,
      { what: 'the relay to own its spool' },
    )
    return relay
  }
  const spool = (...args: string[]) => runCli(['spool', ...args, '--spool', settings.spool], { home })
  return { start, spool, warnings }
}

const texts = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `n${from + n}`)

t.test('what was not sent when a relay stopped goes out when it starts, in order and once', async (t) => {
  const upstream = await recordingUpstream(t)
  const { start, warnings } = world(t, upstream.url)
  const first = await start()
  await first.append(
    'feed',
    texts(0, 100).map((text) => newMessage(text)),
  )
  await eventually(
    () => upstream.messages.length,
    (count) => count === 100,
    { what: 'the first hundred' },
  )
  upstream.behaviour.refuseWith = 503
  for (const socket of upstream.connections) t.ok(socket.openedAt)
  await first.stop({ timeout: 2_000 })
  const second = await start()
  await second.append(
    'feed',
    texts(100, 1_500).map((text) => newMessage(text)),
  )
  await second.stop({ timeout: 2_000 })
  upstream.behaviour.refuseWith = null
  const third = await start()
  await third.append(
    'feed',
    texts(1_600, 10).map((text) => newMessage(text)),
  )
  await eventually(
    () => upstream.messages.length,
    (count) => count >= 1_610,
    { what: 'all messages' },
  )
  t.same(upstream.messages, texts(0, 1_610))
  await eventually(
    () => third.status().clients[0]?.queued,
    (count) => count === 0,
    { what: 'an empty queue' },
  )
  t.same(warnings, [])
})

t.test(
  'what is dropped is not sent, what is retried is; the files can be looked at afterwards',
  async (t) => {
    const upstream = await recordingUpstream(t, { refuseWith: 503 })
    const { start, spool } = world(t, upstream.url)
    const relay = await start()
    const expiring = newMessage('stale', { id: 'stale', expiresAt: Date.now() + 100 })
    const messages = ['a', 'b', 'c'].map((id) => newMessage(id, { id }))
    await relay.append('feed', [expiring, ...messages])
    const never = new AbortController().signal
    t.match(await withDeadline(relay.settled('feed', 'stale', never), { what: 'it to expire' }), {
      state: 'expired',
    })
    const dropped = relay.settled('feed', 'b', never)
    t.match(await spool('drop', 'b'), { code: 0 })
    t.match(await withDeadline(dropped, { what: 'the fate of what was dropped' }), { state: 'dropped' })
    t.match((await spool('ls', '--client', 'feed')).stdout, /feed: 2 waiting\n.*\na .*\nc /)
    upstream.behaviour.refuseWith = null
    await eventually(
      () => upstream.messages.length,
      (count) => count >= 2,
      { what: 'the others' },
    )
    t.same(upstream.messages, ['a', 'c'])
    t.match(await relay.append('feed', messages), [
      { outcome: 'duplicate', fate: { state: 'delivered' } },
      { outcome: 'duplicate', fate: { state: 'dropped' } },
      { outcome: 'duplicate', fate: { state: 'delivered' } },
    ])
    upstream.behaviour.refuseWith = 503
    await relay.stop({ timeout: 2_000 })
    const later = await start()
    await later.append('feed', [newMessage('d', { id: 'd' })])
    await later.stop({ timeout: 2_000 })
    const looked = await spool('ls', '--client', 'feed')
    t.match(looked, {
      code: 0,
      stdout: /feed: 1 waiting\n.*\nd /,
      stderr: /is not running; this is what its files/,
    })
    t.match(await spool('show', 'd'), { code: 0, stdout: /state +queued\n[\s\S]*body +d\n/ })
    t.match(await spool('drop', 'd'), { code: 3 })
  },
)

t.test('a parked message is kept, shown, and delivered when it is retried', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const { start, spool } = world(t, upstream.url)
  const relay = await start()
  // Larger than the client takes: it is parked as soon as it could be sent.
  const large = newMessage('x'.repeat(30_000_000), { id: 'large' })
  await relay.append('feed', [large, newMessage('small', { id: 'small' })])
  upstream.behaviour.refuseWith = null
  const never = new AbortController().signal
  t.match(await withDeadline(relay.settled('feed', 'large', never), { what: 'it to be parked' }), {
    state: 'parked',
    reason: /do not fit/,
  })
  t.match(await withDeadline(relay.settled('feed', 'small', never), { what: 'the other' }), {
    state: 'delivered',
  })
  t.match((await spool('ls', '--parked')).stdout, /feed: 1 parked\n.*\nlarge .*do not fit/)
  t.match(await relay.fate('feed', 'large'), { state: 'parked' })
  t.match(await spool('retry', 'large'), { code: 0 })
  t.match(await withDeadline(relay.settled('feed', 'large', never), { what: 'it to be parked again' }), {
    state: 'parked',
  })
  t.match(await spool('drop', '--all'), { code: 0, stdout: '1 message is dropped\n' })
  t.match(await relay.fate('feed', 'large'), { state: 'dropped' })
})
