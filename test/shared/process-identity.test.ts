// When a process counts as gone: others connect in its place then, so its sockets have to be closed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { isAlive, processIdentity, signalProcess } from '../../src/shared/process-identity.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { processRow } from '../support/process-tree.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

/** Ends its first thread, and no other: SYS_exit, by the architecture. */
const ENDS_FIRST_THREAD = `
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)
`

t.test('a pid with another start time is another process', async (t) => {
  const own = processIdentity(process.pid)
  t.ok(isAlive(own))
  if (own.startTime !== null) t.notOk(isAlive({ ...own, startTime: own.startTime + 1 }))
})

t.test(
  'a process whose first thread has ended before the others is alive until they have ended',
  needsPackage('python3', '/usr/bin/python3'),
  async (t) => {
    const child = spawn('python3', ['-c', ENDS_FIRST_THREAD], { env: cleanEnv(), stdio: 'ignore' })
    t.teardown(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const pid = child.pid ?? 0
    const identity = processIdentity(pid)
    await eventually(
      () => processRow(pid)?.state,
      (state) => state === 'Z',
      { what: 'its first thread to be a zombie' },
    )
    t.ok(isAlive(identity))
    t.ok(signalProcess(identity, 'SIGKILL'))
    await exited
    t.notOk(isAlive(identity))
  },
)
