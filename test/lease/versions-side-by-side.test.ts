// A lease is one and the same for different versions of Node: they name abstract sockets differently, unless the name has
// its full length.

import { existsSync } from 'node:fs'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { needsTool, otherNode } from '../support/tools.js'
import { LeaseProcess, newHome } from './lease-process.js'

uninstrumentChildren()

const epochOf = (line: string): number => Number(/\d+/.exec(line)?.[0])

const isThere = existsSync(otherNode())
const options = isThere ? {} : { skip: needsTool('nodes').skip ?? 'there is no other Node for this platform' }

for (const [holder, waiter] of [
  [process.execPath, otherNode()],
  [otherNode(), process.execPath],
] as const) {
  for (const hasKernelLock of [true, false]) {
    const how = hasKernelLock ? 'with' : 'without'
    const versions =
      holder === process.execPath ? 'this Node, and Node 24 waits' : 'Node 24, and this one waits'
    t.test(`a lease held by ${versions}, ${how} a kernel lock`, options, async (t) => {
      const home = newHome(t)
      const first = await LeaseProcess.holding(t, home, { node: holder, hasKernelLock })
      const second = await LeaseProcess.ready(t, home, { node: waiter, hasKernelLock })
      first.signal('SIGSTOP')
      second.go()
      await second.says(/^standsBy \d/)
      t.notOk(
        second.lines.some((line) => line.startsWith('holds')),
        'it waits for a holder that is stopped',
      )
      await first.kill()
      const before = epochOf(first.lines.find((line) => line.startsWith('holds')) ?? '')
      t.ok(
        epochOf(await second.says(/^holds/)) > before,
        'it has it when that one is dead, with a larger epoch',
      )
    })
  }
}
