// Who is in a tree: grandchildren are, who has ended and is only not yet waited for is not.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { processTree } from '../../src/audit/process-tree.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { processRow } from '../support/process-tree.js'

uninstrumentChildren()

t.teardown(() => delete process.env.FORKSAFE_AUDIT_SOURCE)

/** A shell that waits for nobody: one child has ended, one has a child of its own. */
const FAMILY = 'sleep 0 & (sleep 300 & wait) & exec sleep 300'

/** Not a shell that is about to become it. */
const isSleep = (pid: number): boolean => /^sleep 300$/.test(processRow(pid)?.command.trim() ?? '')

for (const source of ['proc', 'lsof']) {
  t.test(`a tree as ${source === 'proc' ? '/proc' : 'ps'} tells it`, async (t) => {
    process.env.FORKSAFE_AUDIT_SOURCE = source
    const child = spawn('sh', ['-c', FAMILY], { env: cleanEnv(), stdio: 'ignore', detached: true })
    const pid = child.pid ?? 0
    t.teardown(async () => {
      const exit = once(child, 'exit')
      process.kill(-pid, 'SIGKILL')
      await exit
    })
    const tree = await eventually(
      () => processTree(pid),
      (pids) => pids.length === 3 && [pids[0], pids[2]].every((each) => isSleep(each ?? 0)),
      { what: 'a shell that has become sleep, its child and the child of that' },
    )
    t.same(
      tree.slice(1).map((member) => processRow(member)?.ppid),
      tree.slice(0, 2),
      'parents stand before their children',
    )
    t.ok((await processTree(process.pid)).includes(tree[2] ?? 0))
    const own = await processTree(process.pid)
    t.notOk(own.includes(1))
    const gone = own.filter((member) => processRow(member) === null)
    t.same(gone, [], 'ps itself is not among our children')
  })

  t.test(`a root that is gone stands alone, by ${source}`, async (t) => {
    process.env.FORKSAFE_AUDIT_SOURCE = source
    t.same(await processTree(2 ** 22 + 1), [2 ** 22 + 1])
  })
}
