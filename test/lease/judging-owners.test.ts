// Whom a waiter takes for gone: by pid and start time where it can know, by looks where it cannot, and whom it ends.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { MachineOwner } from '../../src/lease/machine-owner.js'
import { thisHost } from '../../src/lease/owner-life.js'
import { isAlive, type ProcessIdentity, processIdentity } from '../../src/shared/process-identity.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { descendantsOf } from '../support/process-tree.js'
import { LeaseProcess, newHome } from './lease-process.js'

uninstrumentChildren()

const key = createHash('sha256').update('client\nfeed').digest('hex').slice(0, 32)
const EPOCH = 1_000

const owner = (pid: number, startTime: number | null, extra: Partial<MachineOwner> = {}): MachineOwner => ({
  kind: 'client',
  identity: 'feed',
  name: 'feed',
  origin: null,
  supervisor: null,
  slot: null,
  pid,
  startTime,
  host: thisHost(),
  epoch: EPOCH,
  since: 0,
  ...extra,
})

/** A record as an owner that nobody refreshes has left it. */
const leaveRecord = (home: string, record: MachineOwner | string): void => {
  for (const folder of [home, join(home, 'leases'), join(home, 'leases', key), recordPath(home, 'lock')])
    mkdirSync(folder, { mode: 0o700 })
  writeFileSync(recordPath(home, 'json'), typeof record === 'string' ? record : JSON.stringify(record))
}

const recordPath = (home: string, ending: string): string => join(home, 'leases', key, `${EPOCH}.${ending}`)

/** A process that does nothing, ended with the test. */
const bystander = (t: Test): ProcessIdentity => {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  return processIdentity(child.pid ?? 0)
}

const goneProcess = (): ProcessIdentity & { name: string } => {
  const { pid } = spawnSync('true')
  return { name: 'api', pid, startTime: 1 }
}

const SLOW = { poll: 60_000, calmPoll: 60_000, lookEvery: 60_000 }
const isJudgedByStartTime = processIdentity(process.pid).startTime !== null
const needsStartTime = isJudgedByStartTime ? {} : { skip: 'this platform tells no start times' }

t.test('a pid that lives with another start time is another process', needsStartTime, async (t) => {
  const home = newHome(t)
  const { pid, startTime } = bystander(t)
  leaveRecord(home, owner(pid, (startTime ?? 0) - 1))
  const taker = await LeaseProcess.holding(t, home, { rules: SLOW })
  t.same(taker.lines, ['ready', `holds ${EPOCH + 1}`])
  t.ok(isAlive({ pid, startTime }), 'and is left alone')
})

t.test('an owner of an earlier start of this machine is gone', async (t) => {
  const home = newHome(t)
  const host = { ...thisHost(), boot: 'another' }
  leaveRecord(home, owner(process.pid, processIdentity(process.pid).startTime, { host }))
  const taker = await LeaseProcess.holding(t, home, { rules: SLOW })
  t.same(taker.lines, ['ready', `holds ${EPOCH + 1}`])
})

for (const [what, record] of [
  ['of another machine', owner(1, 1, { host: { machine: 'another', boot: 'another', pidNamespace: null } })],
  ['that cannot be read', '{'],
] as const) {
  t.test(`a record ${what} is taken over when it was not refreshed for so many looks`, async (t) => {
    const home = newHome(t)
    leaveRecord(home, record)
    const rules = { lookEvery: 30, staleLooks: 20 }
    const taker = await LeaseProcess.ready(t, home, { rules })
    const began = performance.now()
    taker.go()
    await taker.says(/^holds/)
    t.ok(performance.now() - began >= rules.lookEvery * rules.staleLooks, 'not before')
    t.match(taker.lines[1], /^standsBy (1|nobody)$/)
  })
}

const canUnshare = spawnSync('unshare', ['-pf', '--mount-proc', 'true']).status === 0

t.test(
  'an owner in another pid namespace keeps it while it refreshes, and loses it when it is stopped',
  canUnshare ? {} : { skip: 'unshare is missing, or not allowed' },
  async (t) => {
    const home = newHome(t)
    const away = await LeaseProcess.holding(t, home, {
      hasKernelLock: false,
      wrapper: ['unshare', '-pf', '--kill-child', '--mount-proc'],
    })
    // Twice as long as from one refresh to the next.
    const rules = { lookEvery: 100, staleLooks: 20 }
    const waiter = await LeaseProcess.ready(t, home, { hasKernelLock: false, rules })
    waiter.go()
    await waiter.says(/^standsBy 1$/)
    const [inner] = descendantsOf(away.pid)
    t.ok(inner)
    const file = recordPath(home, 'lock')
    t.notOk(existsSync(file))
    process.kill(inner?.pid ?? 0, 'SIGSTOP')
    const stopped = performance.now()
    await waiter.says(/^holds/)
    const waited = performance.now() - stopped
    t.ok(waited >= rules.lookEvery * rules.staleLooks - 1_000, `after ${waited} ms`)
    process.kill(inner?.pid ?? 0, 'SIGCONT')
    await away.says(/^lost/)
  },
)

t.test('a worker that is stopped and whose supervisor is gone is ended', needsStartTime, async (t) => {
  const home = newHome(t)
  const orphan = await LeaseProcess.holding(t, home, { supervisor: goneProcess() })
  const rules = { lookEvery: 150, orphanLooks: 10 }
  const waiter = await LeaseProcess.ready(t, home, { rules })
  orphan.signal('SIGSTOP')
  waiter.go()
  // It finds the folder that shows two holders, which the killed one has left.
  await waiter.says(/^holds/)
  t.equal(await orphan.ended(), 'SIGKILL')
})

t.test(
  'a worker whose supervisor lives is not ended, however long it is stopped',
  needsStartTime,
  async (t) => {
    const home = newHome(t)
    const supervisor = { name: 'api', ...bystander(t) }
    const worker = await LeaseProcess.holding(t, home, { supervisor })
    worker.signal('SIGSTOP')
    const rules = { poll: 5, calmPoll: 5, lookEvery: 5, orphanLooks: 2, staleLooks: 2 }
    const waiter = await LeaseProcess.ready(t, home, { rules })
    waiter.go()
    await waiter.says(new RegExp(`^standsBy ${worker.pid}$`))
    process.kill(supervisor.pid, 'SIGKILL')
    t.equal(await worker.ended(), 'SIGKILL', 'only then')
    await eventually(
      () => waiter.lines.at(-1) ?? '',
      (line) => line.startsWith('holds'),
      { what: 'the waiter to hold' },
    )
  },
)

t.test('of a record whose pid is another process by now nobody is ended', needsStartTime, async (t) => {
  const home = newHome(t)
  const decoy = bystander(t)
  leaveRecord(home, owner(decoy.pid, (decoy.startTime ?? 0) + 1, { supervisor: goneProcess() }))
  const rules = { poll: 5, calmPoll: 5, lookEvery: 5, orphanLooks: 0, staleLooks: 2 }
  const taker = await LeaseProcess.holding(t, home, { rules })
  t.match(taker.lines.at(-1), /^holds/)
  t.ok(isAlive(decoy))
})
