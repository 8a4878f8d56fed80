// A relay with a real client and a real upstream: what goes in at the door of either worker arrives, in order.

import { setMaxListeners } from 'node:events'
import t from 'tap'
import { eventually, withDeadline } from '../support/deadline.js'
import { newMessage } from '../support/memory-spool.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { relayParts, spoolOf, upstreamAt } from '../support/relay-parts.js'

const isOwner = (seen: boolean): boolean => seen

t.test('what is appended in the owner and in another worker arrives once, in order', async (t) => {
  const upstream = await recordingUpstream(t)
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [owner, other] = [parts.relay(), parts.relay()]
  owner.start()
  await eventually(() => owner.isOwner, isOwner, { what: 'the first relay to be the owner' })
  other.start()
  const sent: string[] = []
  for (const [round, relay] of [owner, other, other, owner].entries()) {
    const texts = Array.from({ length: 50 }, (_, n) => `${round}-${n}`)
    const outcomes = await relay.append(
      'feed',
      texts.map((text) => newMessage(text)),
    )
    t.ok(outcomes.every(({ outcome }) => outcome === 'accepted'))
    sent.push(...texts)
  }
  await eventually(
    () => upstream.messages.length,
    (count) => count >= sent.length,
    { what: 'all messages' },
  )
  t.same(upstream.messages, sent)
})

t.test('who waits is told when its message was delivered, through the desk too', async (t) => {
  const upstream = await recordingUpstream(t)
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [owner, other] = [parts.relay(), parts.relay()]
  owner.start()
  await eventually(() => owner.isOwner, isOwner, { what: 'the first relay to be the owner' })
  other.start()
  for (const relay of [owner, other]) {
    const message = newMessage('hello')
    await relay.append('feed', [message])
    const never = new AbortController().signal
    const fate = await withDeadline(relay.settled('feed', message.id, never), { what: 'the fate' })
    t.match(fate, { id: message.id, state: 'delivered', receipt: { level: 'received' } })
    t.match(await relay.fate('feed', message.id), { state: 'delivered' })
  }
  t.equal(await other.fate('feed', 'unheard-of'), null)
})

t.test(
  'another worker becomes the owner when the first leaves, and what is appended meanwhile waits',
  async (t) => {
    const upstream = await recordingUpstream(t)
    const parts = relayParts(t, [upstreamAt(upstream.url)])
    const [first, second] = [parts.relay(), parts.relay()]
    first.start()
    await eventually(() => first.isOwner, isOwner, { what: 'the first relay to be the owner' })
    second.start()
    const sent: string[] = []
    let isLeaving = true
    const appending = async (): Promise<void> => {
      for (let n = 0; isLeaving || n < 100; n++) {
        const [outcome] = await second.append('feed', [newMessage(String(n))])
        if (outcome?.outcome !== 'accepted') t.fail(JSON.stringify(outcome))
        sent.push(String(n))
      }
    }
    const appended = appending()
    await first.stop({ timeout: 2_000 })
    isLeaving = false
    await withDeadline(appended, { what: 'all to be appended' })
    t.ok(second.isOwner)
    await eventually(
      () => upstream.messages.length,
      (count) => count >= sent.length,
      { what: 'all messages' },
    )
    t.same([...new Set(upstream.messages)], sent)
  },
)

t.test('without an owner what is appended is refused when the time is over', async (t) => {
  const parts = relayParts(t, [upstreamAt('ws://127.0.0.1:9')], { ownerTimeout: 100 })
  const relay = parts.relay()
  const outcomes = await withDeadline(relay.append('feed', [newMessage('a'), newMessage('b')]), {
    what: 'the refusals',
  })
  t.match(outcomes, [
    { outcome: 'refused', refusal: { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE', retryAfter: Number } },
    { outcome: 'refused' },
  ])
  await t.rejects(relay.fate('feed', 'x'), { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE' })
})

t.test('who waits through the desk is told by the next owner', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [first, second, third] = [parts.relay(), parts.relay(), parts.relay()]
  first.start()
  await eventually(() => first.isOwner, isOwner, { what: 'the first relay to be the owner' })
  second.start()
  third.start()
  const message = newMessage('later')
  await third.append('feed', [message])
  const fate = third.settled('feed', message.id, new AbortController().signal)
  await first.stop({ timeout: 500 })
  upstream.behaviour.refuseWith = null
  t.match(await withDeadline(fate, { what: 'the fate' }), { state: 'delivered' })
  t.ok(second.isOwner)
})

t.test('a drain answers whoever waits with what is known, in the owner and elsewhere', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [owner, other] = [parts.relay(), parts.relay()]
  owner.start()
  await eventually(() => owner.isOwner, isOwner, { what: 'the first relay to be the owner' })
  for (const relay of [other, owner]) {
    const message = newMessage('waits')
    await relay.append('feed', [message])
    const fate = relay.settled('feed', message.id, new AbortController().signal)
    const aborting = new AbortController()
    const aborted = relay.settled('feed', message.id, aborting.signal)
    aborting.abort()
    t.match(await withDeadline(aborted, { what: 'the fate of who has gone' }), { state: 'queued' })
    relay.beginDrain()
    t.match(await withDeadline(fate, { what: 'the fate' }), { id: message.id, state: 'queued' })
    const after = relay.settled('feed', message.id, new AbortController().signal)
    t.match(await withDeadline(after, { what: 'the fate after it' }), { state: 'queued' })
  }
})

t.test('an owner that loses its lease accepts nothing more, and another one goes on', async (t) => {
  const upstream = await recordingUpstream(t)
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [first, second] = [parts.relay(), parts.relay()]
  first.start()
  await eventually(() => first.isOwner, isOwner, { what: 'the first relay to be the owner' })
  second.start()
  const spool = spoolOf(parts)
  await first.append('feed', [newMessage('before')])
  await eventually(
    () => spool.settlements.length,
    (count) => count === 1,
    { what: 'the first to be delivered' },
  )
  parts.lease.lose()
  t.ok(spool.isClosed, 'in the same turn')
  await eventually(() => second.isOwner, isOwner, { what: 'the second relay to be the owner' })
  t.notOk(first.isOwner)
  t.match(await first.append('feed', [newMessage('after')]), [{ outcome: 'accepted' }])
  await eventually(
    () => upstream.messages.length,
    (count) => count >= 2,
    { what: 'both messages' },
  )
  t.same(upstream.messages, ['before', 'after'])
})

t.test('a spool that cannot be opened is tried again, and said', async (t) => {
  const upstream = await recordingUpstream(t)
  const parts = relayParts(t, [upstreamAt(upstream.url), upstreamAt('nonsense', { name: 'bad' })])
  const relay = parts.relay()
  relay.start()
  await eventually(
    () => parts.lease.granted,
    (count) => count >= 2,
    { what: 'a second attempt' },
  )
  t.notOk(relay.isOwner)
  t.match(parts.lines, [{ level: 'error', text: /spool .*url of client/ }])
  t.ok(spoolOf(parts).isClosed, 'what was open is closed')
})

t.test('who only stands in line leaves at once', async (t) => {
  const upstream = await recordingUpstream(t)
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [owner, other] = [parts.relay(), parts.relay()]
  owner.start()
  await eventually(() => owner.isOwner, isOwner, { what: 'the first relay to be the owner' })
  other.start()
  await withDeadline(other.stop({ timeout: 20_000 }), { what: 'the stop' })
  t.ok(owner.isOwner)
  t.match(
    parts.lines.filter(({ level }) => level === 'error'),
    [],
  )
})

t.test('many may wait for their messages, in the owner and elsewhere', async (t) => {
  const upstream = await recordingUpstream(t, { refuseWith: 503 })
  const parts = relayParts(t, [upstreamAt(upstream.url)])
  const [owner, other] = [parts.relay(), parts.relay()]
  owner.start()
  await eventually(() => owner.isOwner, isOwner, { what: 'the first relay to be the owner' })
  const never = new AbortController().signal
  setMaxListeners(0, never)
  const fates = [owner, other].flatMap((relay) =>
    Array.from({ length: 200 }, async (_, n) => {
      const message = newMessage(String(n))
      await relay.append('feed', [message])
      return relay.settled('feed', message.id, never)
    }),
  )
  await eventually(
    () => spoolOf(parts).status().queued,
    (count) => count === 400,
    { what: 'all to be spooled' },
  )
  upstream.behaviour.refuseWith = null
  const states = (await withDeadline(Promise.all(fates), { what: 'all fates' })).map((fate) => fate?.state)
  t.same([...new Set(states)], ['delivered'])
})
