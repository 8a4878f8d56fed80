// Memory and CPU of processes, where the program that is asked for the clock's ticks hangs.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { forgetUsageHistory, resourceUsage } from '../../src/observe/resource-usage.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { descendantsOf, killProcesses } from '../support/process-tree.js'

uninstrumentChildren()

t.test('a program of the system that hangs costs the figures, not the answer', async (t) => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'getconf'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${folder}:${PATH}`
  const asked = resourceUsage([process.pid])
  t.teardown(() => {
    process.env.PATH = PATH
  })
  t.same(await withDeadline(asked, { what: 'an answer', timeout: 5_000 }), new Map())
  killProcesses(descendantsOf(process.pid))
  forgetUsageHistory()
})
