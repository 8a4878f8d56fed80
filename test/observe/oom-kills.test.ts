// Whether a SIGKILL was the kernel's, for lack of memory.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OomKills } from '../../src/observe/oom-kills.js'

const machine = (cgroup: string, folder: string, file: string, kills: number) => ({
  proc: { self: { cgroup } },
  sys: { fs: { cgroup: { [folder]: { [file]: `low 0\noom 3\noom_kill ${kills}\n` } } } },
})

for (const [version, cgroup, folder, file] of [
  ['v2', '0::/app\n', 'app', 'memory.events'],
  ['v1', '5:cpu:/\n4:memory:/app\n0::/\n', 'memory', 'memory.oom_control'],
] as const) {
  t.test(`cgroup ${version}: each kill that is counted accounts for one process`, async (t) => {
    const root = t.testdir(machine(cgroup, folder, file, 2))
    const set = (kills: number): void =>
      writeFileSync(join(root, 'sys/fs/cgroup', folder, file), `oom_kill ${kills}\n`)
    const kills = new OomKills(root)
    t.equal(kills.look(), 'not counted', 'those of before are nobody of ours')
    set(4)
    t.same([kills.look(), kills.look(), kills.look()], ['counted', 'counted', 'not counted'])
    set(5)
    t.equal(kills.look(), 'counted')
  })
}

t.test('where nothing counts nothing is known', async (t) => {
  t.equal(new OomKills(t.testdir({})).look(), 'unknown')
  t.equal(new OomKills(t.testdir({ proc: { self: { cgroup: '0::/\n' } } })).look(), 'unknown')
  const old = machine('4:memory:/\n', 'memory', 'memory.oom_control', 0)
  const root = t.testdir(old)
  writeFileSync(join(root, 'sys/fs/cgroup/memory/memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\n')
  t.equal(new OomKills(root).look(), 'unknown', 'Linux before 4.13')
})
