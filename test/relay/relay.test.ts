// A relay with a real client and a real upstream: what goes in at the door of either worker arrives, in order.

import t from 'tap'
import { eventually, withDeadline } from '../support/deadline.js'
import { newMessage } from '../support/memory-spool.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { relayParts, upstreamAt } from '../support/relay-parts.js'

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
