// Whether a SIGKILL was the kernel's, for lack of memory.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OomKills } from '../../src/observe/oom-kills.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'

uninstrumentChildren()

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

/** A cgroup (v1) of our own, or the reason why there is none. */
const ownCgroup = (name: string): { folder: string } | { skip: string } => {
  const folder = `/sys/fs/cgroup/memory/${name}`
  try {
    mkdirSync(folder)
    writeFileSync(join(folder, 'memory.limit_in_bytes'), String(120 * 1024 * 1024))
    return { folder }
  } catch {
    return { skip: 'no cgroup can be made here' }
  }
}

const APP = `
  const kept = []
  if (process.env.NODE_UNIQUE_ID === undefined) throw new Error('not a worker')
  process.send('ready')
  setInterval(() => kept.push(Buffer.alloc(4 * 2 ** 20, 1)), 20)
`

const cgroup = ownCgroup(`forksafe-${process.pid}`)
t.test(
  'a worker that the kernel kills for lack of memory is said to be so',
  'skip' in cgroup ? cgroup : {},
  async (t) => {
    if ('skip' in cgroup) return
    const { folder } = cgroup
    const root = t.testdir({ 'leaks.js': APP })
    // sh enters the group before it becomes the supervisor: so primary and workers are in it.
    const script = `echo $$ > ${folder}/cgroup.procs && exec "$0" bin/supervisor.js start ${root}/leaks.js --readiness ready --restart intensity=0,onExceeded=exit`
    const child = spawn('/bin/sh', ['-c', script, process.execPath], {
      env: cleanEnv({ FORKSAFE_HOME: join(root, 'run'), NO_COLOR: '1' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)))
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    const [code, signal] = await once(child, 'close')
    clearTimeout(timer)
    await eventually(
      () => readFileSync(join(folder, 'cgroup.procs'), 'utf8'),
      (left) => left === '',
      { what: 'the group to be empty' },
    )
    rmdirSync(folder)
    // The kernel takes the largest, which is the worker; should it take the primary there is nothing to be said.
    t.same([code, signal], [7, null], said)
    t.match(said, /worker 0 gone: was killed by SIGKILL .* by the kernel for lack of memory/)
  },
)
