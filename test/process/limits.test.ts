// Workers that are over a limit, and workers whose loop stands still, with real processes: what they cost their clients and
// their neighbours.

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { SupervisorStatus } from '../../src/shared/status.js'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { processRow } from '../support/process-tree.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/burns-memory-and-cpu.js'
/** A sample each 5 s, then a replacement and a drain. */
const REPLACED_WITHIN = 20_000

interface World {
  port: number
  supervisor: SupervisorProcess
  pids: number[]
}

const start = async (t: Test, workers: number, ...flags: string[]): Promise<World> => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: [APP, '-i', String(workers), '--stop-timeout', '5s', ...flags],
    env: { PORT: String(port) },
  })
  const status = await supervisor.waitUntilReady()
  return { port, supervisor, pids: readyPids(status) }
}

const readyPids = ({ workers }: SupervisorStatus): number[] =>
  workers.flatMap(({ pid, state }) => (state === 'ready' && pid !== null ? [pid] : []))

/** Asks until that worker has been told: the primary hands connections out in turn. */
const letDo = ({ port }: World, pid: number, path: string): Promise<unknown> =>
  eventually(
    () => askPid(port, `${path}${path.includes('?') ? '&' : '?'}pid=${pid}`),
    (answered) => answered === pid,
    { what: `worker ${pid} to do ${path}` },
  )

/** Settles when the worker is gone and another one serves in its slot. */
const replaced = async ({ supervisor, pids }: World, pid: number): Promise<number> => {
  const slot = pids.indexOf(pid)
  // The status may be older than the end of the process, and still show it as the one that serves.
  const successorIn = ({ workers }: SupervisorStatus) =>
    workers.find((row) => row.slot === slot && row.state === 'ready' && row.pid !== pid)
  const isReplaced = (status: SupervisorStatus) =>
    processRow(pid) === null && successorIn(status) !== undefined
  const status = await supervisor.waitForStatus(isReplaced, `worker ${pid} to be replaced`, REPLACED_WITHIN)
  return successorIn(status)?.pid ?? 0
}

const slotOf = ({ workers }: SupervisorStatus, slot: number) => workers.find((row) => row.slot === slot)

const lineOf = ({ supervisor }: World, pattern: RegExp): number =>
  supervisor.lines.findIndex((line) => pattern.test(line))

t.test('a worker that leaks is replaced at its soft limit, and no request fails', async (t) => {
  const world = await start(t, 2, '--max-memory', '150M')
  const [leaking, other] = world.pids as [number, number]
  const load = startLoad({
    port: world.port,
    clients: { keepalive: 6, close: 3, slow: 0, slowReused: 0 },
    isExpected: (body) => /^\d+$/.test(body),
  })
  await load.finished(500)
  await letDo(world, leaking, '/leak?mb=150')
  const successor = await replaced(world, leaking)
  await load.finished(load.result.requests + 1_000)
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  t.ok(Number(result.answers[String(successor)]) > 0, 'the new worker answered')
  t.same((await world.supervisor.status()).workers.map(({ pid }) => pid).sort(), [successor, other].sort())
  const told = lineOf(world, /worker 0 is to be replaced: over maxMemory: \d+(\.\d)? MiB of 150 MiB/)
  const ready = lineOf(world, new RegExp(`worker 0 ready .*pid ${successor},`))
  const draining = lineOf(world, new RegExp(`worker 0 draining .*pid ${leaking},`))
  t.ok(told !== -1 && told < ready && ready < draining, `lines ${told}, ${ready}, ${draining}`)
  t.match(
    slotOf(await world.supervisor.status(), 0)?.lastExit?.reason,
    /^replaced, over maxMemory: .*; drained$/,
  )
  const { stdout } = await world.supervisor.cli('status')
  t.match(stdout, /slot 0 last: replaced, over maxMemory: .* of 150 MiB; drained/)
})

t.test('over the hard limit a worker has to leave at once, and another one is started', async (t) => {
  const world = await start(t, 2, '--max-memory', '150M', '--max-memory-hard', '250M')
  const [leaking, other] = world.pids as [number, number]
  await letDo(world, leaking, '/leak?mb=300')
  await replaced(world, leaking)
  t.ok((await world.supervisor.status()).workers.some(({ pid }) => pid === other))
  t.not(lineOf(world, /worker 0 is sent away: over maxMemoryHard: /), -1)
  t.equal(slotOf(await world.supervisor.status(), 0)?.restarts, 1)
})

// What a burner gets of a machine with more to do is a small share; an idle worker uses next to nothing.
t.test('a worker that burns CPU is replaced, an idle one is not', async (t) => {
  const world = await start(t, 2, '--max-cpu', '8', '--max-cpu-period', '3s')
  const [burning, other] = world.pids as [number, number]
  await letDo(world, burning, '/burn')
  await replaced(world, burning)
  t.not(lineOf(world, /worker 0 is to be replaced: over maxCpu: \d+% of a core, 8% allowed/), -1)
  t.equal(lineOf(world, /worker 1 is to be replaced/), -1)
  t.ok(readyPids(await world.supervisor.status()).includes(other))
})

t.test('workers past their maxUptime are replaced one after the other, and no request fails', async (t) => {
  const world = await start(t, 2, '--max-uptime', '3s')
  const load = startLoad({ port: world.port, clients: { keepalive: 4, close: 2, slow: 0, slowReused: 0 } })
  for (const pid of world.pids) await replaced(world, pid)
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  const { workers } = await world.supervisor.status()
  t.ok(
    workers.every(({ restarts }) => restarts === 0),
    'no crash',
  )
})

for (const [how, stand] of [
  ['is blocked', (world: World, pid: number) => letDo(world, pid, '/block')],
  ['is stopped by a signal', async (_: World, pid: number) => process.kill(pid, 'SIGSTOP')],
] as const) {
  t.test(
    `a worker that ${how} is killed after hangTimeout and replaced; others are unaffected`,
    async (t) => {
      const world = await start(t, 2, '--hang-timeout', '2s')
      const [hanging, other] = world.pids as [number, number]
      await stand(world, hanging)
      await replaced(world, hanging)
      const reason = slotOf(await world.supervisor.status(), 0)?.lastExit?.reason
      t.match(reason, /^was killed: its event loop stood still for [\d.]+ s \(hangTimeout 2s\)$/)
      t.equal(
        await eventually(
          () => askPid(world.port),
          (pid) => pid === other,
          { what: 'the other one' },
        ),
        other,
      )
      t.match(slotOf(await world.supervisor.status(), 1), { pid: other, restarts: 0 })
    },
  )
}

/** What is tested here is that so much time passes. */
const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

t.test('a tree that was stopped as a whole, longer than hangTimeout, blames nobody', async (t) => {
  const world = await start(t, 3, '--hang-timeout', '3s')
  // Stopped a little before, so that they owe an answer when the primary is stopped: one is asked for each 750 ms.
  for (const pid of world.pids) process.kill(pid, 'SIGSTOP')
  await pass(1_000)
  world.supervisor.signalGroup('SIGSTOP')
  await pass(4_000)
  // The primary first: it looks before anybody can have answered.
  world.supervisor.signal('SIGCONT')
  await pass(200)
  world.supervisor.signalGroup('SIGCONT')
  await pass(3_000)
  t.same(readyPids(await world.supervisor.status()), world.pids)
})

t.test('a primary that was stopped alone blames no worker', async (t) => {
  const world = await start(t, 2, '--hang-timeout', '2s')
  world.supervisor.signal('SIGSTOP')
  await pass(4_000)
  world.supervisor.signal('SIGCONT')
  await pass(2_500)
  t.same(readyPids(await world.supervisor.status()), world.pids)
})

t.test('the status and /proc agree about memory within a tenth', async (t) => {
  const world = await start(t, 2, '--max-memory', '1G')
  for (const mb of [50, 100]) await letDo(world, world.pids[0] ?? 0, `/leak?mb=${mb}`)
  for (const { pid, rssBytes } of (await world.supervisor.status()).workers) {
    const inProc = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
    t.ok(Math.abs(inProc - Number(rssBytes)) < inProc / 10, `worker ${pid}: ${rssBytes} and ${inProc}`)
  }
})
