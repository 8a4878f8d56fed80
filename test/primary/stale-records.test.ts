// Which records in the runtime folder are stale: their owner is gone and has not released them.

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { markReleased, writeOwner } from '../../src/lease/lease-files.js'
import type { MachineOwner } from '../../src/lease/machine-owner.js'
import { thisHost } from '../../src/lease/owner-life.js'
import { staleRecords } from '../../src/primary/stale-records.js'
import { processIdentity } from '../../src/shared/process-identity.js'

/** Of this very pid, and so gone for certain: it was started at another time. */
const GONE = { pid: process.pid, startTime: 1 }

const owner = (over: Partial<MachineOwner> = {}): MachineOwner => ({
  ...GONE,
  host: thisHost(),
  kind: 'client',
  identity: 'feed',
  name: 'feed',
  origin: null,
  supervisor: null,
  slot: null,
  epoch: 3,
  since: 1,
  ...over,
})

const lease = (folder: string, key: string, over: Partial<MachineOwner> = {}): string => {
  const place = join(folder, 'leases', key)
  mkdirSync(place, { recursive: true })
  writeOwner(place, owner(over))
  return place
}

const run = (folder: string, name: string, who: object): void =>
  writeFileSync(
    join(folder, `${name}.json`),
    JSON.stringify({ ...who, name, state: 'running', goneBy: null, workers: [] }),
  )

const none = (): boolean => false

t.test('runs of supervisors that are gone are stale, those of living ones are not', async (t) => {
  const folder = t.testdir({ 'x.json': '{', 'note.txt': '' })
  run(folder, 'old', GONE)
  run(folder, 'alive', processIdentity(process.pid))
  t.match(staleRecords(folder, none), [{ kind: 'run', name: 'old', pid: process.pid, isWaitedFor: false }])
  t.same(staleRecords(join(folder, 'missing'), none), [])
})

t.test('a lease is stale when its owner is gone and has not released it', async (t) => {
  const folder = t.testdir({})
  const stale = lease(folder, 'a')
  lease(folder, 'b', processIdentity(process.pid))
  markReleased(lease(folder, 'c'), 3)
  lease(folder, 'd', { identity: '\0rehearsal' })
  t.same(staleRecords(folder, none), [
    { kind: 'lease', name: 'feed', pid: process.pid, file: join(stale, '3.json'), isWaitedFor: false },
  ])
})

t.test('somebody who waits waits in vain only when the owner has been gone for long', async (t) => {
  const folder = t.testdir({})
  const place = lease(folder, 'a')
  const waits = (identity: string): boolean => identity === 'feed'
  t.match(staleRecords(folder, waits), [{ isWaitedFor: true }], 'nothing tells when it was last refreshed')
  mkdirSync(join(place, '3.lock'))
  utimesSync(join(place, '3.lock'), 1, 1)
  t.match(
    staleRecords(folder, waits),
    [{ isWaitedFor: false }],
    'refreshed just now, whatever its clock says',
  )
  t.match(
    staleRecords(folder, () => false),
    [{ isWaitedFor: false }],
  )
})
