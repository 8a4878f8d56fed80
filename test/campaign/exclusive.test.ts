// The exclusive campaigns: that they see a rule which is broken, that their plans are of their seed, and that they leave
// nothing. Rounds that keep the rule are in exclusive-rounds.test.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { needsPackage } from '../support/tools.js'
import type { RoundReport } from './campaign.js'
import { expectNothingLeftWhenEnded } from './campaign-in-a-test.js'
import { makePlan } from './exclusive/make-plan.js'
import { clockEnvironment, FAKETIME } from './exclusive/participant.js'
import type { ExclusivePlan } from './exclusive/plan.js'
import { exclusiveCampaigns, playPlan } from './exclusive/round.js'
import { Random } from './random.js'

uninstrumentChildren()

const libfaketime = needsPackage('libfaketime', FAKETIME)
const ONE = { workers: 1, serves: true, isWithoutKernelLock: false }
/** Everybody connects. */
const LAWLESS: Omit<ExclusivePlan, 'fault'> = {
  first: ONE,
  onUnconfirmed: 'resend',
  every: 10,
  fanout: false,
  at: 0,
  isExclusive: false,
}

const play = async (plan: ExclusivePlan): Promise<RoundReport> => {
  const report = await playPlan(plan)
  if (report.folder !== null) rmSync(report.folder, { recursive: true })
  return report
}

t.test('a new worker that connects before the old one has closed is found', async (t) => {
  const { violations, story, figures } = await play({ ...LAWLESS, fault: { type: 'rolling', reloads: 1 } })
  t.match(violations, [/^two connections of feed at once for \d.* ms: #\d+ of \d+ was opened beside #\d+ of/])
  t.equal(violations.length, 1, story.join('\n'))
  t.ok((figures?.['bare connect'] ?? []).length > 3, 'bare connects are measured beside it')
})

t.test('a script that does not wait for whoever holds is found', async (t) => {
  const script = { workers: null, serves: false, isWithoutKernelLock: false }
  const { violations, story } = await play({
    ...LAWLESS,
    fault: { type: 'tree-stop', ms: 50, ending: 'continue', waiter: script },
  })
  t.match(violations, [/^two connections of feed at once/])
  t.equal(violations.length, 1, story.join('\n'))
})

t.test('who is alone breaks no rule, and how long a crash took is measured', async (t) => {
  const { violations, story, figures } = await play({ ...LAWLESS, fault: { type: 'kill', pauses: [0] } })
  t.same(violations, [], story.join('\n'))
  t.equal(figures?.['open again after']?.length, 1)
})

t.test('a clock that is moved is off, and what is waited for goes on as ever', libfaketime, async (t) => {
  const file = `${t.testdir({ clock: '+0' })}/clock`
  const program = `process.stdin.on('data', () => console.log(Date.now(), performance.now())).on('end', process.exit)`
  const child = spawn(process.execPath, ['-e', program], { env: cleanEnv(clockEnvironment(file)) })
  t.teardown(() => child.kill('SIGKILL'))
  const times = async (): Promise<number[]> => {
    child.stdin.write('now')
    const [line] = await once(child.stdout, 'data')
    return String(line).split(' ').map(Number)
  }
  const off = async (): Promise<number> => ((await times())[0] ?? 0) - Date.now()
  t.ok(Math.abs(await off()) < 30_000)
  const [, before = 0] = await times()
  for (const hours of [1, -1]) {
    writeFileSync(file, `${hours > 0 ? '+' : ''}${hours * 3_600}`)
    t.ok(Math.abs((await off()) - hours * 3_600_000) < 30_000)
  }
  const [, after = 0] = await times()
  t.ok(after > before && after < before + 30_000)
  child.stdin.end()
  await once(child, 'exit')
})

t.test('the plan of a round is of its seed', async (t) => {
  const types = ['rolling', 'kill', 'stop', 'block', 'primary-kill', 'tree-stop', 'stale', 'clock'] as const
  t.same(
    exclusiveCampaigns.map(({ name }) => name),
    types.map((type) => `exclusive-${type}`),
  )
  for (const type of types) {
    t.same(makePlan(type, new Random(7)), makePlan(type, new Random(7)))
    t.equal(makePlan(type, new Random(7)).fault.type, type)
  }
})

t.test('a campaign that is ended in the middle of a round leaves no process of it', (t) =>
  expectNothingLeftWhenEnded(t, 'exclusive-kill', ['exclusive-server.js', 'preload']),
)
