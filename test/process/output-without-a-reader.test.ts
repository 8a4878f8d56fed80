// Workers that write without end to a supervisor whose own output nobody takes: the service, its orders and its memory
// know nothing of it.

import t, { type Test } from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { peakMemory, processTable } from '../support/process-tree.js'
import { CLI } from '../support/run-cli.js'
import { type StartOptions, type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const MIB = 1024 * 1024
const PEAK = 250 * MIB

interface World {
  port: number
  supervisor: SupervisorProcess
}

const APP = [
  'test/process/fixtures/floods-stdout.js',
  '-i',
  '2',
  '--min-uptime',
  '100ms',
  '--stop-timeout',
  '5s',
]

const start = async (t: Test, options: StartOptions = {}): Promise<World> => {
  const port = await freePort()
  const supervisor = startSupervisor(t, { args: APP, isRead: false, env: { PORT: String(port) }, ...options })
  await supervisor.waitUntilReady(20_000)
  return { port, supervisor }
}

/** Everything that one can ask of a supervisor still works. */
const works = async (t: Test, { port, supervisor }: World, pid = supervisor.pid): Promise<void> => {
  for (let asked = 0; asked < 20; asked++)
    t.ok(await askPid(port, asked % 5 === 0 ? '/line' : '/'), 'is served')
  const rolled = await supervisor.cli('reload')
  t.equal(rolled.code, 0, rolled.stderr)
  const logs = await supervisor.cli('logs', '-n', '50')
  t.equal(logs.code, 0, logs.stderr)
  t.match(logs.stdout, /flood flood/)
  t.ok((await supervisor.status()).workers.every(({ state }) => state === 'ready'))
  t.ok(peakMemory(pid) < PEAK, `${peakMemory(pid) / MIB} MiB`)
  const stopped = await supervisor.cli('stop')
  t.equal(stopped.code, 0, stopped.stderr)
}

t.test('a reader that has stopped', async (t) => {
  const world = await start(t)
  await works(t, world)
  t.same(await world.supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('signals that come when everything is put away already do not change the end', async (t) => {
  const { supervisor } = await start(t)
  supervisor.signal('SIGTERM')
  // It still tries to get its last lines to the reader that has stopped.
  await eventually(
    () => supervisor.filesLeft(),
    (files) => files.length === 0,
    { what: 'socket and lock to be gone' },
  )
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2', 'SIGHUP'] as const) supervisor.signal(signal)
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('a reader that is gone', async (t) => {
  const world = await start(t)
  world.supervisor.closeOutput()
  await works(t, world)
  t.same(await world.supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('a terminal that was halted', async (t) => {
  const command = ['exec', process.execPath, CLI, 'start', ...APP].join(' ')
  const world = await start(t, { executable: 'script', program: ['-qec', command, '/dev/null'] })
  const { pid } = await world.supervisor.status()
  // Nobody reads the terminal any more: its buffer is full at once.
  world.supervisor.signal('SIGSTOP')
  await eventually(
    () => processTable().find((row) => row.pid === world.supervisor.pid)?.state,
    (state) => state === 'T',
    { what: 'the terminal to be halted' },
  )
  await works(t, world, pid)
  await eventually(
    () => world.supervisor.members().filter((row) => row.pid !== world.supervisor.pid),
    (members) => members.length === 0,
    { what: 'the supervisor on the halted terminal to be gone' },
  )
  world.supervisor.signal('SIGKILL')
})
