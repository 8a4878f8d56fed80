// Every state that workers under one primary can reach, with the real arbiter and the real claims; and that each
// protection is needed: with it taken out, the explorer finds what it kept away.

import t from 'tap'
import { expectFinding, expectSafe } from './report.js'
import type { TreeBound, TreeFault } from './tree-state.js'
import { treeWorld } from './tree-world.js'

const ANY_FAULT: TreeFault[] = ['kill', 'stop', 'cut', 'late', 'silent', 'refuse']
const bound = (of: Partial<TreeBound>): TreeBound => ({
  ...{ generations: [1, 2], acts: [], faults: ANY_FAULT, mostFaults: 1 },
  ...of,
})

// They wait for nothing: a minute of one core, which others may want as well.
t.setTimeout(600_000)

const SAFE: [title: string, bound: TreeBound][] = [
  ['two workers, two faults', bound({ mostFaults: 2 })],
  ['two workers and a handover, two faults', bound({ acts: ['hand over to the last'], mostFaults: 2 })],
  ['two workers and a trial with its way back, two faults', bound({ acts: ['try the last'], mostFaults: 2 })],
  ['two workers, one of which leaves, two faults', bound({ acts: ['the first leaves'], mostFaults: 2 })],
  [
    'a claim is withdrawn during a handover, one fault',
    bound({ acts: ['the first withdraws', 'hand over'] }),
  ],
  ['three workers, one fault', bound({ generations: [1, 1, 2] })],
  ['three workers and a trial, one fault', bound({ generations: [1, 1, 2], acts: ['try the last'] })],
  ['three workers and a handover, one fault', bound({ generations: [1, 1, 2], acts: ['hand over'] })],
]

for (const [title, of] of SAFE) t.test(`exhaustive: ${title}`, async (t) => expectSafe(t, treeWorld(of)))

t.test('found: a grant when the channel of the holder breaks', async (t) => {
  expectFinding(t, treeWorld(bound({ mutation: 'granted when the channel breaks' })), /is granted it while/)
})

t.test('found: a grant when the holder was killed, and its end was not awaited', async (t) => {
  expectFinding(t, treeWorld(bound({ mutation: 'exit is not awaited' })), /is granted it while/)
})

t.test('found: a release before what it protects is closed', async (t) => {
  const of = bound({ mutation: 'released before it is closed', acts: ['hand over'], mostFaults: 0 })
  expectFinding(t, treeWorld(of), /is granted it while/)
})
