// However many workers dial at once, at a start, after an outage of the upstream, in a reload: it sees no more than
// connectRate new connections per second, after a burst of as many. Judged by the upstream's own record and clock.

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const WORKERS = 8
const CLIENTS = 2
const ALL = WORKERS * CLIENTS
const RATE = 4
/**
 * A dial that is permitted arrives a little later, which can bring it nearer to those after it: 750 ms of that on a busy
 * machine, as connections at this rate. The storm that there must not be brings 12 more than it may.
 */
const JITTER = 3

const start = async (t: Test, rate: number) => {
  const upstream = await recordingUpstream(t)
  const supervisor = startSupervisor(t, {
    args: [
      'test/process/fixtures/many-feed-clients.js',
      ...['--workers', String(WORKERS), '--name', 'paced', '--min-uptime', '50ms', '--max-surge', '8'],
      ...['--connect-rate', String(rate)],
    ],
    env: { UPSTREAM: upstream.url, CLIENTS: String(CLIENTS) },
  })
  return { upstream, supervisor }
}

/** The most that came, beyond what the bucket allows, in any window between two of the connections. */
const worstExcess = (upstream: RecordingUpstream, rate: number): number => {
  const times = upstream.connections.map(({ acceptedAt }) => acceptedAt)
  const excesses = times.flatMap((from, first) =>
    times.slice(first).map((to, beyond) => beyond + 1 - (rate + (rate * (to - from)) / 1_000)),
  )
  return Math.max(...excesses)
}

const allOpen = { what: 'all clients to be open', timeout: 30_000 }

t.test('a start, an outage of the upstream and a reload', async (t) => {
  const { upstream, supervisor } = await start(t, RATE)
  await upstream.waitFor(({ open }) => open.length === ALL, allOpen)
  t.ok(worstExcess(upstream, RATE) <= JITTER, 'at the start')

  upstream.resetAll()
  await upstream.waitFor(({ open, upgraded }) => open.length === ALL && upgraded.length === 2 * ALL, allOpen)
  t.ok(worstExcess(upstream, RATE) <= JITTER, 'after all were dropped at once')

  await supervisor.waitUntilReady()
  t.equal((await supervisor.cli('reload')).code, 0)
  await upstream.waitFor(
    ({ open }) => open.length === ALL && open.every(({ generation }) => generation === '2'),
    allOpen,
  )
  t.ok(worstExcess(upstream, RATE) <= JITTER, 'in a rolling restart')
  t.equal(upstream.connections.length, 3 * ALL, 'and nobody dialled more often than that')
})

t.test('workers that are killed while they wait', async (t) => {
  const { upstream, supervisor } = await start(t, RATE)
  await upstream.waitFor(({ open }) => open.length === ALL, allOpen)
  const { workers } = await supervisor.waitUntilReady()
  const before = upstream.connections.length
  upstream.resetAll()
  await upstream.waitFor(({ connections }) => connections.length > before, { what: 'the first to come back' })
  // Of the 16 clients at most 4 may come back at once: somebody of these waits.
  const victims = workers.slice(0, 3).map(({ pid }) => pid ?? 0)
  for (const pid of victims) process.kill(pid, 'SIGKILL')
  await upstream.waitFor(({ open }) => open.length === ALL, allOpen)
  t.ok(worstExcess(upstream, RATE) <= JITTER)
  t.same(
    upstream.open.filter(({ pid }) => victims.includes(Number(pid))),
    [],
  )
})

t.test('a primary that does not answer holds no worker back', async (t) => {
  const { upstream, supervisor } = await start(t, 1_000)
  await upstream.waitFor(({ open }) => open.length === ALL, allOpen)
  supervisor.signal('SIGSTOP')
  upstream.resetAll()
  await upstream.waitFor(({ open, upgraded }) => open.length === ALL && upgraded.length === 2 * ALL, allOpen)
  supervisor.signal('SIGCONT')
  await supervisor.waitUntilReady()
})

t.test('a rolling restart reads the rate anew', async (t) => {
  const upstream = await recordingUpstream(t)
  const cwd = t.testdir({})
  const config = `${cwd}/supervisor.config.json`
  const write = (connectRate: number): void =>
    writeFileSync(
      config,
      JSON.stringify({
        script: `${process.cwd()}/test/process/fixtures/many-feed-clients.js`,
        workers: 4,
        connectRate,
        minUptime: '50ms',
        maxSurge: 4,
      }),
    )
  write(0)
  const supervisor = startSupervisor(t, {
    args: ['--config', config, '--name', 'paced'],
    env: { UPSTREAM: upstream.url, CLIENTS: '4' },
  })
  await upstream.waitFor(({ open }) => open.length === 16, allOpen)
  await supervisor.waitUntilReady()
  write(4)
  t.equal((await supervisor.cli('reload')).code, 0)
  await eventually(
    () => upstream.open,
    (open) => open.length === 16 && open.every(({ generation }) => generation === '2'),
    allOpen,
  )
  const before = upstream.connections.length
  upstream.resetAll()
  await upstream.waitFor(
    ({ open, connections }) => open.length === 16 && connections.length === before + 16,
    allOpen,
  )
  upstream.connections.splice(0, before)
  t.ok(worstExcess(upstream, 4) <= JITTER)
})
