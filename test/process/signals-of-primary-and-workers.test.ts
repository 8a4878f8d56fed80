// Signals other than stop: what the primary and a worker do with each, with and without a terminal.

import t, { type Test } from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { processTable } from '../support/process-tree.js'
import { CLI } from '../support/run-cli.js'
import { listeningTcpPorts } from '../support/socket-table.js'
import { type StartOptions, type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = [
  'test/process/fixtures/plain-http.js',
  '-i',
  '2',
  '--min-uptime',
  '100ms',
  '--stop-timeout',
  '5s',
]

interface World {
  supervisor: SupervisorProcess
  port: number
  pid: number
  workers: number[]
}

const start = async (t: Test, options: StartOptions = {}): Promise<World> => {
  const port = await freePort()
  const supervisor = startSupervisor(t, { args: APP, env: { PORT: String(port) }, ...options })
  const { pid, workers } = await supervisor.waitUntilReady()
  return { supervisor, port, pid, workers: workers.map((worker) => worker.pid ?? 0) }
}

const startOnTerminal = (t: Test): Promise<World> =>
  start(t, {
    executable: 'script',
    program: ['-qec', ['exec', process.execPath, CLI, 'start', ...APP].join(' '), '/dev/null'],
  })

const waitForGeneration = ({ supervisor }: World, generation: number) =>
  supervisor.waitForStatus(
    (status) =>
      status.generation === generation &&
      status.state === 'running' &&
      status.workers.every((worker) => worker.generation === generation && worker.state === 'ready'),
    `generation ${generation} to run`,
  )

t.test('SIGUSR1 opens no inspector, SIGUSR2 and SIGHUP to a worker do no harm', async (t) => {
  const { supervisor, port, pid, workers } = await start(t)
  for (const target of [pid, ...workers]) process.kill(target, 'SIGUSR1')
  for (const worker of workers) process.kill(worker, 'SIGUSR2')
  // Signals are taken in the order of their arrival here: whoever answers afterwards has taken them.
  await eventually(
    async () => [await askPid(port), await askPid(port)].sort(),
    (answered) => String(answered) === String([...workers].sort()),
    { what: 'both workers to answer' },
  )
  const { workers: now } = await supervisor.status()
  t.same(
    now.map((worker) => worker.pid),
    workers,
  )
  t.same(listeningTcpPorts(pid), [port])
  for (const worker of workers) t.same(listeningTcpPorts(worker), [])
  t.notOk(supervisor.lines.some((line) => /Debugger listening/.test(line)))
})

t.test('SIGUSR2 and SIGHUP to the primary roll', async (t) => {
  const world = await start(t)
  world.supervisor.signal('SIGUSR2')
  await waitForGeneration(world, 2)
  world.supervisor.signal('SIGHUP')
  const { pid, workers } = await waitForGeneration(world, 3)
  t.equal(pid, world.pid)
  t.notOk(workers.some((worker) => world.workers.includes(worker.pid ?? 0)))
})

t.test('SIGHUP to the primary stops it when it was started on a terminal', async (t) => {
  const { supervisor, pid } = await startOnTerminal(t)
  process.kill(pid, 'SIGHUP')
  await supervisor.waitForLine(/stopped in/)
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('closing its terminal leaves no orphan', async (t) => {
  const { supervisor } = await startOnTerminal(t)
  supervisor.signal('SIGKILL') // The terminal itself: nothing is left to read or write.
  await eventually(
    () => supervisor.members(),
    (members) => members.length === 0,
    { what: 'supervisor and workers to be gone' },
  )
  t.same(supervisor.filesLeft(), [])
})

t.test('SIGUSR2 at any moment of the start ends nobody', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, { args: APP, env: { PORT: String(port) } })
  const isUp = () => supervisor.lines.some((line) => /worker 1 ready/.test(line))
  await supervisor.waitForLine(/worker 0 starting/)
  while (!isUp()) {
    supervisor.signal('SIGUSR2')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await supervisor.waitForStatus(
    ({ state, workers }) => state === 'running' && workers.every((worker) => worker.state === 'ready'),
    'it to run',
    20_000,
  )
  t.ok(await askPid(port))
  t.ok(processTable().some((row) => row.pid === supervisor.pid))
})

t.test('signals up to the very end of the process do not change how it ends', async (t) => {
  const { supervisor } = await start(t)
  supervisor.signal('SIGTERM')
  await supervisor.waitForLine(/stopped in/)
  while (supervisor.exit === null) {
    supervisor.signal('SIGUSR2')
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})
