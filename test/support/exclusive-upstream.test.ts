// The upstream of exclusive connections sees what clients do, and the judge finds real clients that break the rule.

import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { BareConnects } from './bare-connects.js'
import { uninstrumentChildren } from './clean-children.js'
import { upstreamClock } from './exclusive-log.js'
import { ExclusiveUpstream } from './exclusive-upstream.js'
import { judgeConnections, judgeExclusive, violationsOf } from './judge-exclusive.js'
import { percentile } from './percentile.js'

uninstrumentChildren()

const start = async (t: Test): Promise<ExclusiveUpstream> => {
  const upstream = await ExclusiveUpstream.start(t.testdir({}))
  t.teardown(() => upstream.stop())
  return upstream
}

const dial = async (
  t: Test,
  upstream: ExclusiveUpstream,
  who: string,
  identity = 'feed',
): Promise<WebSocket> => {
  const client = new WebSocket(`${upstream.url(identity)}?who=${who}`)
  t.teardown(() => client.terminate())
  client.on('error', () => {})
  await once(client, 'open')
  return client
}

const close = async (client: WebSocket): Promise<void> => {
  client.close(1000)
  await once(client, 'close')
}

const over = (upstream: ExclusiveUpstream, identity = 'feed'): Promise<void> =>
  upstream.until(() => upstream.open(identity).length === 0, 'no connection to be open')

t.test('two clients of one identity are caught, with who and how long', async (t) => {
  const upstream = await start(t)
  const first = await dial(t, upstream, 'A')
  const second = await dial(t, upstream, 'B')
  await close(first)
  await close(second)
  await over(upstream)
  const { overlaps, gaps } = judgeConnections(upstream.log())
  t.match(overlaps, [{ identity: 'feed', first: '#1 of A', second: '#2 of B' }])
  t.ok((overlaps[0]?.ms ?? 0) > 0)
  t.same(gaps, [])
})

t.test('a client that dials when its Close frame is sent, and not answered, is caught', async (t) => {
  const upstream = await start(t)
  await upstream.tell('close-delay 300')
  const first = await dial(t, upstream, 'A')
  first.close(1000)
  await upstream.until(() => upstream.events.some(({ type }) => type === 'frame'), 'the Close frame to come')
  const second = await dial(t, upstream, 'B')
  await once(first, 'close')
  await close(second)
  await over(upstream)
  t.match(judgeConnections(upstream.log()).overlaps, [{ first: '#1 of A', second: '#2 of B' }])
})

t.test('each way for one connection to end makes room for the next', async (t) => {
  const upstream = await start(t)
  await close(await dial(t, upstream, 'closes'))
  const terminated = await dial(t, upstream, 'terminates')
  terminated.terminate()
  const reset = await dial(t, upstream, 'is-reset')
  await Promise.all([once(reset, 'close'), upstream.tell('reset feed')])
  const sentAway = await dial(t, upstream, 'is-sent-away')
  const [[code]] = await Promise.all([once(sentAway, 'close'), upstream.tell('close 1012')])
  t.equal(code, 1012)
  await close(await dial(t, upstream, 'last'))
  await over(upstream)
  const { overlaps, gaps } = judgeConnections(upstream.log())
  t.same(overlaps, [])
  t.same(
    gaps.map(({ to }) => to),
    ['#2 of terminates', '#3 of is-reset', '#4 of is-sent-away', '#5 of last'],
  )
  const codes = upstream.events.flatMap((event) => (event.type === 'frame' ? [event.code] : []))
  t.same(codes, [1000, 1012, 1000])
})

t.test('messages are written down as text and as JSON, and nobody else is told them', async (t) => {
  const upstream = await start(t)
  const client = await dial(t, upstream, 'A')
  for (const text of ['{"sender":"0.7","n":1}', '0.7 2', '{broken', '0.7 2']) client.send(text)
  await close(client)
  await over(upstream)
  const got = upstream
    .log()
    .flatMap((event) => (event.type === 'got' ? [`${event.sender} ${event.number}`] : []))
  t.same(got, ['0.7 1', '0.7 2', 'nonsense NaN', '0.7 2'])
  t.notOk(upstream.events.some(({ type }) => type === 'got'))
  const sent = new Map([1, 2].map((number) => [number, { level: 'received' }] as const))
  const journal = { sender: '0.7', pid: 7, sent, hasEnded: true, notes: [] }
  const judged = judgeExclusive(upstream.log(), [journal])
  t.match(violationsOf(judged, { mayDouble: false, isAllOwed: true }), [
    /sent by nobody: nonsense NaN/,
    /more than once: 0\.7 2/,
  ])
})

t.test('it refuses whom it is told to refuse, and answers pings or not', async (t) => {
  const upstream = await start(t)
  await upstream.tell('refuse 401 release=2')
  await close(await dial(t, upstream, 'A&release=1'))
  const refused = new WebSocket(`${upstream.url('feed')}?who=B&release=2`)
  const [, response] = await once(
    refused.on('error', () => {}),
    'unexpected-response',
  )
  t.equal(response.statusCode, 401)
  refused.terminate()
  t.match(upstream.events.at(-1), { type: 'refused', status: 401, identity: 'feed', who: 'B' })
  await upstream.tell('accept')
  const client = await dial(t, upstream, 'C&release=2')
  client.ping()
  await once(client, 'pong')
  await upstream.tell('mute')
  let pongs = 0
  client.on('pong', () => pongs++)
  client.ping()
  const [[said]] = await Promise.all([once(client, 'message'), upstream.tell('say hello')])
  t.equal(String(said), 'hello')
  // Frames keep their order: the answer to the Close frame would come behind the pong.
  await close(client)
  t.equal(pongs, 0)
})

t.test('its clock is that of the test', async (t) => {
  const upstream = await start(t)
  const before = upstreamClock()
  const client = await dial(t, upstream, 'A')
  await upstream.until(() => upstream.open('feed').length === 1, 'the connection to be open')
  const at = upstream.openedAfter('feed', before)
  t.ok(at !== null && at > before && at < upstreamClock())
  t.equal(upstream.openedAfter('feed', upstreamClock()), null)
  await close(client)
})

t.test('bare connects are measured on the upstream’s clock', async (t) => {
  const upstream = await start(t)
  const bare = new BareConnects(upstream, 5)
  t.teardown(() => bare.kill())
  await bare.measured(20)
  const times = await bare.stop()
  t.same(judgeConnections(upstream.log()).overlaps, [])
  t.ok(times.every((ms) => ms > 0 && ms < 1_000))
  t.comment(`median ${percentile(times, 0.5).toFixed(2)} ms, p95 ${percentile(times, 0.95).toFixed(2)} ms`)
})
