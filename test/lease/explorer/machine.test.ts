// Every state that processes can reach that take an identity on a machine, each alone, with the real decisions of
// src/lease/record-taking.ts; and that each protection is needed: with it taken out, the explorer finds what it kept
// away.

import t from 'tap'
import { bareLockFile } from './bare-lock-file.js'
import type { RecordBound } from './record-state.js'
import { recordWorld } from './record-world.js'
import { expectFinding, expectSafe } from './report.js'

const NO_FAULTS = { kill: 0, stop: 0, block: 0, slow: 0 }
/** Everybody is as slow as he likes, and sees who lives. */
const bound = (of: Partial<RecordBound>): RecordBound => ({
  ...{ processes: 2, hasKernelLock: false, canJudge: true, time: false, start: 'stale record' },
  ...{ faults: { ...NO_FAULTS, kill: 2, stop: 2 }, mostFaults: 1 },
  ...of,
})
/** Owners in other pid namespaces, of which only their refreshes are seen. */
const unseen = (of: Partial<RecordBound>): RecordBound =>
  bound({ canJudge: false, time: true, start: 'nothing', faults: NO_FAULTS, ...of })

// They wait for nothing: a minute of one core, which others may want as well.
t.setTimeout(600_000)

const SAFE: [title: string, bound: RecordBound][] = [
  ['two processes with the kernel lock, two faults', bound({ hasKernelLock: true, mostFaults: 2 })],
  ['two processes without it, two faults', bound({ mostFaults: 2 })],
  ['two processes meet a lock without a record, one fault', bound({ start: 'stale lock without record' })],
  ['three processes with the kernel lock, one fault', bound({ processes: 3, hasKernelLock: true })],
  [
    'owners that cannot be judged, without the kernel lock: killed, blocked for a second, or with a slow disk',
    unseen({ faults: { kill: 1, stop: 0, block: 1, slow: 1 } }),
  ],
  [
    'owners that cannot be judged, one of them stopped, with the kernel lock',
    unseen({ hasKernelLock: true, faults: { ...NO_FAULTS, stop: 1 } }),
  ],
]

for (const [title, of] of SAFE) t.test(`exhaustive: ${title}`, async (t) => expectSafe(t, recordWorld(of)))

t.test('found: two holders of a lock file that takes over what is stale', async (t) => {
  expectFinding(t, bareLockFile(2), /two connections are open/)
})

t.test('found: a record that is removed to make room', async (t) => {
  expectFinding(
    t,
    recordWorld(bound({ mutation: 'takeover by rmdir' })),
    /not its own|two open|granted after/,
  )
})

t.test('found: no look after the record is made', async (t) => {
  expectFinding(t, recordWorld(bound({ mutation: 'no look after the making' })), /two open|granted after/)
})

t.test('found: no look after the owner is written', async (t) => {
  expectFinding(t, recordWorld(bound({ mutation: 'no look after the writing' })), /two open|granted after/)
})

t.test('found: a release before the connection is closed', async (t) => {
  expectFinding(t, recordWorld(bound({ mutation: 'released before it is closed' })), /two open/)
})

t.test('found: a release that removes what is there, whosever it is', async (t) => {
  const of = bound({ mutation: 'removal without asking whose it is' })
  expectFinding(t, recordWorld(of), /not its own/)
})

t.test('found: epochs that begin anew with the process', async (t) => {
  expectFinding(t, recordWorld(bound({ mutation: 'epoch from memory' })), /granted after/)
})

t.test('found: no kernel lock, where an owner that cannot be judged is stopped', async (t) => {
  expectFinding(t, recordWorld(unseen({ faults: { ...NO_FAULTS, stop: 1 } })), /two open/)
})

t.test('found: no fence, where a slow disk holds a refresh up', async (t) => {
  const of = unseen({ mutation: 'no fence', faults: { ...NO_FAULTS, slow: 1 } })
  expectFinding(t, recordWorld(of), /two open/)
})

t.test('found: a fence counted from the end of a refresh', async (t) => {
  const of = unseen({
    ...{ mutation: 'fence from the end of the renewal' },
    ...{ faults: { ...NO_FAULTS, slow: 2 }, mostFaults: 2 },
  })
  expectFinding(t, recordWorld(of), /two open/)
})
