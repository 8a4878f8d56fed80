// Whatever a worker does to its channel, the primary lives on, says so in one line, and no other worker notices.

import t, { type Test } from 'tap'
import type { SupervisorStatus } from '../../src/shared/status.js'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { peakMemory, processRow } from '../support/process-tree.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

/** Most bytes of the primary. Reading a message of 64 MiB whole takes more. */
const PEAK = 200 * 1024 * 1024

interface World {
  port: number
  supervisor: SupervisorProcess
}

const start = async (t: Test, ...flags: string[]): Promise<World> => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [
      'test/process/fixtures/garbage-on-ipc.js',
      '-i',
      '2',
      '--min-uptime',
      '100ms',
      '--stop-timeout',
      '5s',
      ...flags,
    ],
    env: { PORT: String(port) },
  })
  await supervisor.waitUntilReady()
  return { port, supervisor }
}

/** Asks until that worker has done it: the primary hands connections out in turn. */
const letDo = (port: number, pid: number, kind: string): Promise<unknown> =>
  eventually(
    () => askPid(port, `/do?kind=${encodeURIComponent(kind)}&pid=${pid}`),
    (answered) => answered === pid,
    { what: `worker ${pid} to do: ${kind}` },
  )

/** Asks until that worker has answered. */
const answers = (port: number, pid: number): Promise<unknown> => letDo(port, pid, 'nothing')

const pidOf = (status: SupervisorStatus, slot: number): number | null | undefined =>
  status.workers.find((worker) => worker.slot === slot && worker.state === 'ready')?.pid

const pids = async ({ supervisor }: World): Promise<[number, number]> => {
  const status = await supervisor.status()
  return [pidOf(status, 0) ?? 0, pidOf(status, 1) ?? 0]
}

const waitUntilReplaced = async ({ supervisor }: World, slot: number, pid: number): Promise<number> => {
  const isReplaced = (status: SupervisorStatus) => {
    const now = pidOf(status, slot)
    return typeof now === 'number' && now !== pid && processRow(pid) === null
  }
  return pidOf(await supervisor.waitForStatus(isReplaced, `worker ${pid} to be replaced`), slot) ?? 0
}

const linesLike = ({ supervisor }: World, pattern: RegExp): string[] =>
  supervisor.lines.filter((line) => pattern.test(line))

const GARBAGE: [kind: string, says: RegExp][] = [
  ['text', /wrote something that is not a message to its IPC channel/],
  ['bytes', /wrote something that is not a message to its IPC channel/],
  ['halves', /wrote something that is not a message to its IPC channel/],
  ['empty lines', /wrote something that is not a message to its IPC channel/],
  ['frames', /sent a malformed message/],
  ['a message of 64 MiB', /wrote a message of more than 16 MiB to its IPC channel/],
]

t.test('a worker that sends nonsense is replaced, start first, and said to be so in one line', async (t) => {
  const world = await start(t, '-i', '3')
  const { port, supervisor } = world
  const untouched = pidOf(await supervisor.status(), 2) ?? 0
  for (const [index, [kind, says]] of GARBAGE.entries()) {
    const slot = index % 2 === 0 ? 0 : 1 // In turn, because a slot that fails often is started again late.
    const culprit = (await pids(world))[slot]
    await letDo(port, culprit, kind)
    const successor = await waitUntilReplaced(world, slot, culprit)
    await answers(port, successor)
    await answers(port, untouched)
    const begun = supervisor.lines.findIndex(
      (line) => line.includes(`ready after`) && line.includes(`pid ${successor},`),
    )
    const drained = supervisor.lines.findIndex(
      (line) => line.includes(`draining`) && line.includes(`pid ${culprit},`),
    )
    t.ok(begun !== -1 && begun < drained, `${kind}: its successor was ready before it had to go`)
    const about = linesLike(world, new RegExp(`\\b${culprit}\\b`)).filter((line) => says.test(line))
    t.equal(about.length, 1, `${kind}: ${about.join(' | ')}`)
  }
  t.equal(pidOf(await supervisor.status(), 2), untouched)
  t.ok(peakMemory(supervisor.pid) < PEAK)
  t.same(linesLike(world, /^\s+at |unexpected|Unhandled/), [])
})

t.test('messages that mean nothing are ignored, however many', async (t) => {
  const world = await start(t)
  const before = await pids(world)
  for (const kind of ['values', 'cluster nonsense', 'a flood of messages', 'a flood of frames']) {
    await letDo(world.port, before[0], kind)
    for (const pid of before) await answers(world.port, pid)
  }
  t.same(await pids(world), before)
  t.ok(peakMemory(world.supervisor.pid) < PEAK)
})

t.test('a worker that says what is not so can hurt nobody else', async (t) => {
  const world = await start(t)
  const [liar, other] = await pids(world)
  await letDo(world.port, liar, 'misplaced frames')
  const { code } = await world.supervisor.cli('reload')
  t.equal(code, 0)
  t.notSame(await pids(world), [liar, other])
})

t.test('a line that never ends costs nothing but that worker', async (t) => {
  const world = await start(t, '--stop-timeout', '1500ms')
  const [culprit, untouched] = await pids(world)
  await letDo(world.port, culprit, 'unended')
  const { code, stderr } = await world.supervisor.cli('reload')
  t.equal(code, 0, stderr)
  const after = await pids(world)
  t.notOk(after.includes(culprit) || after.includes(untouched))
})

for (const kind of ['disconnect', 'cluster disconnect']) {
  t.test(`a worker that leaves the primary by itself (${kind}) is replaced`, async (t) => {
    const world = await start(t)
    const [culprit, untouched] = await pids(world)
    await letDo(world.port, culprit, kind)
    await answers(world.port, await waitUntilReplaced(world, 0, culprit))
    t.equal((await pids(world))[1], untouched)
  })
}

t.test('a worker that removes every listener is still rolled and stopped within its time', async (t) => {
  const world = await start(t, '--stop-timeout', '1500ms')
  const [culprit] = await pids(world)
  await letDo(world.port, culprit, 'no listeners')
  const { code, stderr } = await world.supervisor.cli('reload')
  t.equal(code, 0, stderr)
  const [next] = await pids(world)
  t.not(next, culprit)
  await letDo(world.port, next, 'no listeners')
  const stopped = await world.supervisor.cli('stop')
  t.ok(stopped.code === 0 || stopped.code === 1, stopped.stderr)
})

t.test('orders to workers that are being killed never hurt the primary', async (t) => {
  const { supervisor } = await start(t, '-i', '6')
  const before = (await supervisor.status()).workers.map(({ pid }) => pid ?? 0)
  const victims = before.slice(0, 5)
  // The status asks every worker; the kills fall before, into and after the asking.
  const asked = victims.map(async (pid, index) => {
    const answer = supervisor.cli('status', '--json')
    await new Promise((resolve) => setTimeout(resolve, 60 * index))
    process.kill(pid, 'SIGKILL')
    return (await answer).code
  })
  t.same(await Promise.all(asked), [0, 0, 0, 0, 0])
  const { workers } = await supervisor.waitUntilReady()
  const after = workers.map(({ pid }) => pid ?? 0)
  t.equal(after[5], before[5])
  t.notOk(victims.some((pid) => after.includes(pid)))
})
