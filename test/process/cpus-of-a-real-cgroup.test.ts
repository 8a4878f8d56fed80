// `workers: 'max'` in a cgroup that the kernel made: one CPU of quota is one worker, however many CPUs there are.
// How the files of both versions are read where there is no such cgroup: test/shared/cpu-quota.test.ts.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { CLI } from '../support/run-cli.js'

uninstrumentChildren()

const PERIOD = 100_000

/** Where a group with a quota can be made, and how; null where none can. */
const makeGroup = (): { folder: string; version: number; limit: (cpus: number) => void } | null => {
  const name = `forksafe-test-${process.pid}`
  const one = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct'].find((folder) =>
    existsSync(join(folder, 'cgroup.procs')),
  )
  try {
    const isTwo = readFileSync('/sys/fs/cgroup/cgroup.subtree_control', 'utf8').includes('cpu ')
    return isTwo ? made(join('/sys/fs/cgroup', name), 2) : null
  } catch {
    // Version 1, or a group that is not ours to divide.
  }
  try {
    return one === undefined ? null : made(join(one, name), 1)
  } catch {
    return null
  }
}

const made = (folder: string, version: 1 | 2) => {
  mkdirSync(folder)
  const limit = (cpus: number): void => {
    if (version === 2) writeFileSync(join(folder, 'cpu.max'), `${cpus * PERIOD} ${PERIOD}`)
    else writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(cpus * PERIOD))
  }
  return { folder, version, limit }
}

const group = makeGroup()

t.test(
  `max is what the quota allows (cgroup version ${group?.version ?? '?'})`,
  group === null ? { skip: 'no cgroup can be made here' } : {},
  async (t) => {
    if (group === null) return
    const { folder, limit } = group
    t.teardown(() =>
      eventually(
        () => isRemoved(folder),
        (removed) => removed,
        { what: `${folder} to be empty` },
      ),
    )
    const script = t.testdir({ 'app.js': '' })
    const workersWith = (cpus: number): unknown => {
      limit(cpus)
      const check = `echo $$ > ${folder}/cgroup.procs && exec "$@"`
      const command = [
        process.execPath,
        CLI,
        'config',
        'check',
        join(script, 'app.js'),
        '-i',
        'max',
        '--json',
      ]
      const { stdout, stderr, status } = spawnSync('sh', ['-c', check, 'sh', ...command], {
        encoding: 'utf8',
        env: cleanEnv(),
        timeout: 30_000,
      })
      t.equal(status, 0, stderr)
      return /"workers": ?(\d+)/.exec(stdout)?.[1]
    }
    t.equal(workersWith(1), '1')
    t.equal(workersWith(1.5), '1')
    t.equal(workersWith(1_000), String(availableParallelism()))
  },
)

/** A group can be removed when its last process is gone for good. */
const isRemoved = (folder: string): boolean => {
  try {
    rmdirSync(folder)
    return true
  } catch {
    return !existsSync(folder)
  }
}
