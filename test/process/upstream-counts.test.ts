// What the upstream counts over rolling restarts: never more than two connections of a slot, exactly one afterwards, and
// no socket or descriptor that is leaked on the way.

import { readdirSync } from 'node:fs'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { connectedTcpSockets, socketsTo } from '../support/socket-table.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

t.test('10 rolling restarts of 2 workers', async (t) => {
  const upstream = await recordingUpstream(t)
  const supervisor = startSupervisor(t, {
    args: [
      'test/process/fixtures/feed-client.js',
      '--workers',
      '2',
      '--name',
      'counts',
      '--min-uptime',
      '50ms',
    ],
    env: { UPSTREAM: upstream.url },
  })
  await supervisor.waitUntilReady()
  await upstream.waitFor(({ open }) => open.length === 2)
  t.equal((await supervisor.cli('reload')).code, 0)
  const before = descriptorsOf(supervisor.pid)
  for (let round = 1; round < 10; round++) t.equal((await supervisor.cli('reload')).code, 0)

  for (const [slot, most] of upstream.maxOpenBySlot)
    t.ok(most <= 2, `slot ${slot} had at most ${most} at once`)
  await upstream.waitFor(({ connected }) => connected.length === 2)
  t.same(upstream.open.map(({ slot, generation }) => `${slot}:${generation}`).sort(), ['0:11', '1:11'])
  t.equal(upstream.upgraded.length, 22)
  t.same(upstream.closedWithoutCloseFrame, [])

  for (const { pid } of (await supervisor.status()).workers) {
    t.equal(socketsTo(pid ?? 0, upstream.port).length, 1)
    t.equal(connectedTcpSockets(pid ?? 0).length, 1, 'no other connection')
  }
  t.equal(connectedTcpSockets(supervisor.pid).length, 0)
  // pidusage keeps a descriptor per pid for a while; the workers' pipes and channels must be gone.
  const growth = descriptorsOf(supervisor.pid) - before
  t.ok(growth <= 4, `the primary has ${growth} more descriptors after nine more rolling restarts`)
})
