// A worker that the kernel kills for lack of memory, in a real cgroup (v1, as root); and one that somebody else kills.

import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

/** Enough for a primary and a worker that keeps nothing. */
const LIMIT = 250 * 1024 * 1024

/** A cgroup of our own, or the reason why there is none. */
const ownCgroup = (): string | { skip: string } => {
  const folder = `/sys/fs/cgroup/memory/forksafe-${process.pid}`
  try {
    mkdirSync(folder)
  } catch {
    return { skip: 'needs root and a memory cgroup (v1)' }
  }
  writeFileSync(`${folder}/memory.limit_in_bytes`, String(LIMIT))
  return folder
}

/** Processes leave a group a moment after they are gone. */
const removeGroup = (folder: string): Promise<unknown> =>
  eventually(
    () => {
      try {
        rmdirSync(folder)
        return true
      } catch {
        return false
      }
    },
    (isRemoved) => isRemoved,
    { what: 'the group to be empty' },
  )

const group = ownCgroup()
t.test('the kernel kills a worker for lack of memory', typeof group === 'string' ? {} : group, async (t) => {
  const folder = String(group)
  t.teardown(() => removeGroup(folder))
  // The shell enters the group before it becomes the supervisor, so that the workers are in it too.
  const enter = `echo $$ > ${folder}/cgroup.procs && exec "$0" "$@"`
  const app = ['test/process/fixtures/leaks-until-killed.js', '--readiness', 'ready']
  const supervisor = startSupervisor(t, {
    executable: '/bin/sh',
    program: ['-c', enter, process.execPath, 'bin/supervisor.js', 'start', ...app],
  })
  await supervisor.waitForLine(
    /worker 0 gone: was killed by SIGKILL [\d.]+ s after it was ready, by the kernel for lack of memory/,
    { timeout: 30_000 },
  )
  const { workers } = await supervisor.status()
  t.match(workers[0]?.lastExit?.reason, /by the kernel for lack of memory/)
})

t.test('kill -9 by somebody else is not called that where the kernel counts', async (t) => {
  const supervisor = startSupervisor(t, { args: ['test/process/fixtures/plain-http.js'] })
  const { workers } = await supervisor.waitUntilReady()
  process.kill(workers[0]?.pid ?? 0, 'SIGKILL')
  const [line] = await supervisor.waitForLine(/worker 0 gone: was killed by SIGKILL.*/)
  t.notMatch(line, /, by the kernel/)
})
