// In a container: as PID 1, and below tini. Signals, zombies, early signals, and a container that is killed and started
// again on the same disk, where every process has the pid that another one had before.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { ContainedSupervisor, needsPidNamespace, needsTini, TINI } from '../support/pid-namespace.js'
import { killProcesses, type ProcessRow } from '../support/process-tree.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/has-grandchildren.js'
const NO_INIT = /this process is PID 1, with no init before it/

const isWorker = ({ command, state }: ProcessRow): boolean =>
  state !== 'Z' && command.includes(APP) && !command.includes('supervisor')

const workersIn = async (contained: ContainedSupervisor): Promise<ProcessRow[]> =>
  (await contained.inside()).filter(isWorker)

const warnings = ({ outer }: ContainedSupervisor): number =>
  outer.lines.filter((line) => NO_INIT.test(line)).length

t.test(
  'as PID 1: it warns once, SIGTERM stops it, workers are reaped, orphans of others are not',
  needsPidNamespace(),
  async (t) => {
    const contained = new ContainedSupervisor(t, {
      args: [APP, '-i', '2', '--min-uptime', '100ms'],
      env: { PORT: String(await freePort()) },
    })
    const { outer } = contained
    t.equal((await outer.waitUntilReady()).pid, 1)
    t.equal((await outer.cli('reload')).code, 0)
    t.equal(warnings(contained), 1)
    const killed = await workersIn(contained)
    t.equal(killed.length, 2)
    killProcesses(killed)
    await outer.waitForStatus(
      ({ workers }) => workers.every(({ state, restarts }) => state === 'ready' && restarts === 1),
      'both workers to be replaced',
    )
    // What the warning is about: a Node that reaps these too would make it needless.
    const zombies = await eventually(
      () => contained.zombies(),
      (rows) => rows.length >= 4,
      { what: 'the orphans of killed workers to be zombies' },
    )
    t.notOk(
      zombies.some(({ command }) => command.includes('node')),
      'none of them is a worker',
    )
    await contained.signal('SIGTERM')
    t.same(await outer.leavesNothing(), { code: 0, signal: null })
    t.ok(outer.lines.some((line) => /stopping \(SIGTERM\)/.test(line)))
  },
)

t.test('as PID 1 it ends by a signal that comes before it listens to any', needsPidNamespace(), async (t) => {
  const folder = t.testdir({
    'supervisor.config.mjs': `process.stdout.write('reading\\n')
      await new Promise((resolve) => setTimeout(resolve, 9_000))
      export default { script: 'app.js' }`,
    'app.js': '',
  })
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const contained = new ContainedSupervisor(t, { cwd: folder })
    await contained.outer.waitForLine(/^reading/)
    await contained.signal(signal)
    t.same(await contained.outer.leavesNothing({ timeout: 5_000 }), { code, signal: null })
  }
})

const WORKERS = 20
const ROUNDS = 5

t.test(
  `below tini: no zombie is left of ${WORKERS * ROUNDS} workers with children that were killed, and nobody is warned`,
  needsTini(),
  async (t) => {
    const contained = new ContainedSupervisor(t, {
      init: [TINI, '--'],
      args: [APP, '-i', String(WORKERS), '--min-uptime', '0', '--restart', 'intensity=1000'],
      env: { PORT: String(await freePort()) },
    })
    const { outer } = contained
    for (let round = 0; round < ROUNDS; round++) {
      await outer.waitForStatus(
        ({ workers }) => workers.every(({ state, restarts }) => state === 'ready' && restarts === round),
        `round ${round} to be complete`,
        60_000,
      )
      const workers = await workersIn(contained)
      t.equal(workers.length, WORKERS)
      killProcesses(workers)
    }
    await outer.waitForStatus(
      ({ workers }) => workers.every(({ state, restarts }) => state === 'ready' && restarts === ROUNDS),
      'all to be replaced',
      60_000,
    )
    await eventually(
      async () => (await contained.inside()).length,
      // tini, the supervisor, its workers with two children each.
      (count) => count === 2 + WORKERS * 3,
      { what: 'nobody else to be there, zombies included' },
    )
    t.same(await contained.zombies(), [])
    t.equal(warnings(contained), 0)
    await contained.signal('SIGTERM')
    t.same(await outer.leavesNothing(), { code: 0, signal: null })
  },
)

t.test(
  'kill -9 of everybody: the next start, with the same pids, clears what is left',
  needsPidNamespace(),
  async (t) => {
    const port = await freePort()
    const options = { args: [APP, '-i', '2', '--name', 'pod'], env: { PORT: String(port) }, name: 'pod' }
    const killed = new ContainedSupervisor(t, options)
    await killed.outer.waitUntilReady()
    const { home } = killed.outer
    const before: unknown = JSON.parse(readFileSync(join(home, 'pod.json'), 'utf8'))
    // The kernel ends everybody in a namespace with its first process.
    await killed.signal('SIGKILL')
    await killed.outer.exited
    await eventually(
      () => killed.outer.members(),
      (members) => members.length === 0,
      { what: 'everybody in the namespace to be gone' },
    )
    t.same(killed.outer.filesLeft().sort(), ['pod.lock', 'pod.sock'])
    const next = new ContainedSupervisor(t, { ...options, home })
    const status = await next.outer.waitUntilReady()
    t.match(before, { pid: status.pid, state: 'running' }, 'both are PID 1')
    t.ok(await askPid(port))
    t.notOk(
      next.outer.lines.some((line) => /left behind/.test(line)),
      'no process was taken for an old worker',
    )
    await next.signal('SIGTERM')
    t.same(await next.outer.leavesNothing(), { code: 0, signal: null })
    t.same(next.outer.filesLeft(), [])
  },
)
