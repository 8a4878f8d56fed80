// One process at a time owns an identity: real processes that start at one moment, are killed, stopped, and give back.

import { readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { hasKernelLock } from '../../src/lease/kernel-lock.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { needsPackage } from '../support/tools.js'
import { LeaseProcess, newHome, recordFiles, type TakerOptions } from './lease-process.js'

uninstrumentChildren()

const STARTERS = 8
/** Only the end of the kernel lock wakes in time. */
const ONLY_WOKEN = { calmPoll: 60_000, lookEvery: 60_000 }
const inside = (home: string): string => join(home, '..', 'inside')
const epochOf = (line: string): number => Number(/^holds (\d+)$/.exec(line)?.[1])

const MODES: Record<string, (starter: number) => TakerOptions> = {
  'with the kernel lock': () => ({}),
  'with the record alone': () => ({ hasKernelLock: false }),
  'some with and some without the kernel lock': (starter) => ({ hasKernelLock: starter % 2 === 0 }),
}

for (const [mode, optionsOf] of Object.entries(MODES)) {
  t.test(`of many that meet the record of a killed owner one holds at a time, ${mode}`, async (t) => {
    const home = newHome(t)
    const first = await LeaseProcess.holding(t, home, optionsOf(0))
    const epochs = [epochOf(await first.says(/^holds/))]
    await first.kill()
    rmdirSync(inside(home))
    const starters = await Promise.all(
      Array.from({ length: STARTERS }, (_, starter) => LeaseProcess.ready(t, home, optionsOf(starter))),
    )
    for (const starter of starters) starter.go()
    const waiting = new Set(starters)
    while (waiting.size > 0) {
      const [holder] = await eventually(
        () => [...waiting].filter(({ lines }) => lines.some((line) => line.startsWith('holds'))),
        (holders) => holders.length > 0,
        { what: 'the next of them to hold' },
      )
      if (holder === undefined) return
      epochs.push(epochOf(await holder.says(/^holds/)))
      holder.go()
      await holder.says(/^released/)
      waiting.delete(holder)
    }
    t.equal(epochs.length, STARTERS + 1)
    t.same(
      epochs,
      [...new Set(epochs)].sort((a, b) => a - b),
      'numbers grow',
    )
    t.same(recordFiles(home), [`${epochs.at(-1)}.released`])
  })
}

t.test('who waits says for whom, and is woken at once by a release and by a kill', async (t) => {
  if (!hasKernelLock()) return void t.pass('woken by the kernel', { skip: 'there is no kernel lock' })
  const home = newHome(t)
  const [first, second, third] = [
    await LeaseProcess.holding(t, home),
    await LeaseProcess.ready(t, home, { rules: ONLY_WOKEN }),
    await LeaseProcess.ready(t, home, { rules: ONLY_WOKEN }),
  ]
  second.go()
  await second.says(new RegExp(`^standsBy ${first.pid}$`))
  first.go()
  await second.says(/^holds/, 2_000)
  third.go()
  await third.says(new RegExp(`^standsBy ${second.pid}$`))
  rmdirSync(inside(home))
  await second.kill()
  await third.says(/^holds \d+$/, 2_000)
})

for (const hasLock of [true, false]) {
  t.test(`an owner that is stopped keeps it, ${hasLock ? 'with' : 'without'} the kernel lock`, async (t) => {
    const home = newHome(t)
    // Looks enough to think it gone many times over before the kill.
    const rules = { poll: 5, calmPoll: 5, lookEvery: 5, staleLooks: 3, orphanLooks: 3 }
    const owner = await LeaseProcess.holding(t, home, { hasKernelLock: hasLock })
    owner.signal('SIGSTOP')
    const waiter = await LeaseProcess.ready(t, home, { hasKernelLock: hasLock, rules })
    waiter.go()
    await waiter.says(new RegExp(`^standsBy ${owner.pid}$`))
    const another = await LeaseProcess.ready(t, home, { hasKernelLock: hasLock, rules })
    another.go()
    await another.says(/^standsBy/)
    t.notOk([...waiter.lines, ...another.lines].some((line) => line.startsWith('holds')))
    owner.signal('SIGCONT')
    owner.go()
    await owner.says(/^released/)
    const [next] = await eventually(
      () => [waiter, another].filter(({ lines }) => lines.some((line) => line.startsWith('holds'))),
      ({ length }) => length > 0,
      { what: 'the next to hold' },
    )
    t.match(next?.lines.at(-1), /^holds \d+$/)
  })
}

t.test('with the kernel lock a record that somebody removed is made anew', async (t) => {
  if (!hasKernelLock()) return void t.pass('made anew', { skip: 'there is no kernel lock' })
  const home = newHome(t)
  const owner = await LeaseProcess.holding(t, home)
  const before = recordFiles(home)
  const id = readFileSync(join(home, 'install-id'), 'utf8')
  rmSync(home, { recursive: true })
  await eventually(
    () => recordFiles(home),
    (files) => `${files}` === `${before}`,
    { what: 'the record to be there again' },
  )
  t.equal(readFileSync(join(home, 'install-id'), 'utf8'), id, 'and who comes next meets the same lock')
  const next = await LeaseProcess.ready(t, home)
  next.go()
  await next.says(new RegExp(`^standsBy ${owner.pid}$`))
  owner.go()
  await next.says(/^holds \d+$/)
  await owner.says(/^released/)
  t.notMatch(owner.lines.join(), /lost/)
})

t.test('without the kernel lock an owner whose record is removed has lost it', async (t) => {
  const home = newHome(t)
  const owner = await LeaseProcess.holding(t, home, { hasKernelLock: false })
  rmSync(join(home, 'leases'), { recursive: true })
  await owner.says(/^lost its record is not ours any more/)
})

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'
t.test(
  'who thinks that it is an hour later waits like everybody',
  needsPackage('libfaketime', FAKETIME),
  async (t) => {
    const home = newHome(t)
    const owner = await LeaseProcess.holding(t, home, { hasKernelLock: false })
    const ahead = await LeaseProcess.ready(t, home, {
      hasKernelLock: false,
      env: { LD_PRELOAD: FAKETIME, FAKETIME: '+1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    })
    ahead.go()
    await ahead.says(new RegExp(`^standsBy ${owner.pid}$`))
    owner.go()
    await owner.says(/^released/)
    const epoch = epochOf(await owner.says(/^holds/))
    t.equal(epochOf(await ahead.says(/^holds/)), epoch + 1)
  },
)
