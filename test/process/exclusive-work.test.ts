// exclusive(): a job that one process does at a time, whoever is killed, rolled or drained: no two runs at once, no tick of
// the clock twice, and an epoch that grows with each run.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { killProcesses, processRow } from '../support/process-tree.js'
import { type StartOptions, type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/ticks.js'

interface Line {
  at: number
  slot: number
  pid: number
  what: string
  epoch: number
  /** Of a tick; of a begin who else was running. */
  more: string
}

/** The file that all processes of one test write. */
class Ticks {
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-ticks-'))
  readonly file = join(this.folder, 'ticks')

  start(
    t: Test,
    { program = false, args = [], env = {} }: Omit<StartOptions, 'program'> & { program?: boolean },
  ) {
    const options = { home: join(this.folder, 'run'), env: { TICKS: this.file, ...env } }
    const flags = ['--name', 'ticks', '--min-uptime', '100ms', '--stop-timeout', '3s']
    return startSupervisor(t, {
      ...(program ? { program: [APP], name: 'none' } : { args: [APP, ...flags, ...args], name: 'ticks' }),
      ...options,
    })
  }

  lines(): Line[] {
    if (!existsSync(this.file)) return []
    return readFileSync(this.file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [at, slot, pid, what = '', epoch, more = ''] = line.split(' ')
        return { at: Number(at), slot: Number(slot), pid: Number(pid), what, epoch: Number(epoch), more }
      })
  }

  /** Settles when a process has ticked three times that is not one of those; returns its last line. */
  async tickedBy(isMeant: (line: Line) => boolean, what: string): Promise<Line> {
    const found = await eventually(
      () => this.lines().filter((line) => line.what === 'tick' && isMeant(line)),
      (ticks) => ticks.length >= 3,
      { what, timeout: 20_000 },
    )
    const last = found.at(-1)
    if (last === undefined) throw new Error('no tick')
    return last
  }

  /** What breaks the promise, a line each. */
  violations(): string[] {
    const lines = this.lines()
    const begins = lines.filter(({ what }) => what === 'begin')
    const beside = begins.filter(({ more }) => more !== 'alone')
    const stale = begins.filter(({ epoch }, index) => index > 0 && epoch <= (begins[index - 1]?.epoch ?? 0))
    const late = lines.filter(({ pid }, index) => {
      const begun = lines.slice(0, index + 1).findLast(({ what }) => what === 'begin')
      return begun?.pid !== pid
    })
    const seen = new Set<string>()
    const twice = lines.filter(({ what, more }) => {
      const isSecond = what === 'tick' && seen.has(more)
      if (what === 'tick') seen.add(more)
      return isSecond
    })
    return [
      ...beside.map(({ pid, more }) => `${pid} began beside ${more}`),
      ...stale.map(({ epoch }) => `epoch ${epoch} is not larger than the one before`),
      ...late.map(({ pid, what }) => `${what} of ${pid} after another run had begun`),
      ...twice.map(({ more, pid }) => `tick ${more} a second time, by ${pid}`),
    ]
  }
}

const open = (t: Test): Ticks => {
  const ticks = new Ticks()
  t.teardown(() => (t.passing() ? rmSync(ticks.folder, { recursive: true, force: true }) : undefined))
  return ticks
}

const killNow = (pid: number): void => {
  const row = processRow(pid)
  if (row !== null) killProcesses([row])
}

const leaderOf = async (supervisor: SupervisorProcess): Promise<{ slot: number; pid: number }> => {
  const isLeader = ({ kind, role }: { kind?: string; role: string }) => kind === 'task' && role === 'holder'
  const { workers } = await supervisor.waitForStatus(
    ({ workers }) => workers.filter(({ clients }) => clients.some(isLeader)).length === 1,
    'one leader',
  )
  const found = workers.find(({ clients }) => clients.some(isLeader))
  return { slot: found?.slot ?? -1, pid: found?.pid ?? -1 }
}

t.test('killed, rolled and drained, it is done by one at a time', async (t) => {
  const ticks = open(t)
  const supervisor = ticks.start(t, { args: ['-i', '4'] })
  await supervisor.waitUntilReady()
  const first = await ticks.tickedBy(() => true, 'the first to tick')
  t.equal(first.pid, (await leaderOf(supervisor)).pid, 'status says who does it')

  killNow(first.pid)
  const second = await ticks.tickedBy(({ pid }) => pid !== first.pid, 'another one to tick after the kill')
  await supervisor.waitUntilReady()
  const old = (await supervisor.status()).workers.map(({ pid }) => pid)
  t.ok(old.includes(second.pid))

  t.equal((await supervisor.cli('reload')).code, 0)
  const known = [first.pid, ...old]
  await ticks.tickedBy(({ pid }) => !known.includes(pid), 'the new release to tick')

  // A scaling takes the last slots: the leader is to be among them.
  const led = await leaderOf(supervisor)
  if (led.slot === 0) killNow(led.pid)
  const third = await ticks.tickedBy(
    ({ pid, slot }) => !known.includes(pid) && slot !== 0,
    'a later slot to tick',
  )
  await supervisor.waitUntilReady()
  t.equal((await supervisor.cli('scale', String(third.slot))).code, 0)
  await ticks.tickedBy(
    ({ at, slot }) => at > third.at && slot < third.slot,
    'another one to tick after the scaling',
  )
  await supervisor.end()
  t.same(ticks.violations(), [])
  t.ok(ticks.lines().filter(({ what }) => what === 'begin').length >= 4)
})

t.test('without it each worker does it: the judge sees that', async (t) => {
  const ticks = open(t)
  const supervisor = ticks.start(t, { args: ['-i', '4'], env: { ALL: '1' } })
  await supervisor.waitUntilReady()
  const counts = (): number[] => {
    const byTick = new Map<string, number>()
    for (const { what, more } of ticks.lines())
      if (what === 'tick') byTick.set(more, (byTick.get(more) ?? 0) + 1)
    return [...byTick.values()]
  }
  await eventually(counts, (found) => found.includes(4), { what: 'a tick that all four have done' })
  const violations = ticks.violations().join('\n')
  t.match(violations, /began beside/)
  t.match(violations, /a second time/)
})

t.test(
  'who does not stop when it is told keeps everybody else out until its process has ended',
  async (t) => {
    const ticks = open(t)
    const supervisor = ticks.start(t, { args: ['-i', '2'], env: { STUBBORN: '60000' } })
    await supervisor.waitUntilReady()
    const { pid } = await ticks.tickedBy(() => true, 'the first to tick')
    t.equal((await supervisor.cli('reload')).code, 0)
    await ticks.tickedBy((line) => line.pid !== pid, 'another one to tick')
    await supervisor.waitForLine(
      /exclusive\("ticker"\) did not stop within \d+ ms of its signal; the lease is free when this process has ended/,
    )
    await supervisor.end()
    t.same(ticks.violations(), [], 'nobody began while it was alive')
  },
)

t.test('scripts without a supervisor take turns as well', async (t) => {
  const ticks = open(t)
  const first = ticks.start(t, { program: true, env: { RETURNS: '5' } })
  await ticks.tickedBy(() => true, 'the first to tick')
  const others = [1, 2].map(() => ticks.start(t, { program: true }))
  await first.waitForLine(/^over done$/)
  const { pid } = await ticks.tickedBy(
    (line) => line.pid !== first.pid,
    'another one to tick after its return',
  )
  const [leads, waits] = others[0]?.pid === pid ? others : others.toReversed()
  const tickedByWaiting = ticks.tickedBy((line) => line.pid === waits?.pid, 'the last one to tick')
  await leads?.end()
  t.match(leads?.lines, ['over done'], 'what it returned when its signal was aborted')
  await tickedByWaiting
  killNow(waits?.pid ?? 0)
  await first.end()
  t.same(ticks.violations(), [])
})
