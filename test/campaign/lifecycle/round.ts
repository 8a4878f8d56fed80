// The lifecycle campaign: a real supervisor with a real app and a real upstream, random actions and faults, an end, and
// the judgement. What may be done is plan.ts, how it is done actions.ts and endings.ts, what must hold the judges.

import { availableParallelism, loadavg } from 'node:os'
import type { Load } from '../../../bench/load.js'
import type { SupervisorStatus } from '../../../src/shared/status.js'
import { describeLoad, type LoadResult, startLoad } from '../../support/load.js'
import { runCli } from '../../support/run-cli.js'
import { connectedTcpSockets } from '../../support/socket-table.js'
import type { Campaign, RoundReport } from '../campaign.js'
import { sleep } from '../sleep.js'
import { playAction } from './actions.js'
import { connectionsEnd, playEnding } from './endings.js'
import { isWorkerPause } from './journal.js'
import { judgeCalls } from './judge-calls.js'
import { judgeConnections } from './judge-connections.js'
import { judgeOutput } from './judge-exit.js'
import { makePlan } from './make-plan.js'
import { describePlan, type RoundPlan } from './plan.js'
import { World } from './world.js'

/** For a start, and for coming to rest after faults and their backoff (ms). */
const READY_BOUND = 15_000

export const lifecycle: Campaign = {
  name: 'lifecycle',
  summary: 'starts, reloads, signals, faults and ends of a supervisor in random order',
  abandon: () => World.abandonAll(),
  playRound: async (random) => {
    const plan = makePlan(random)
    const world = await World.open()
    try {
      await play(world, plan)
    } catch (error) {
      world.violate(`the round could not be played: ${(error as Error).message}`)
    }
    const keeps = world.violations.length > 0
    await world.close({ plan: describePlan(plan), keeps })
    return reportOf(world, plan, keeps)
  },
}

const reportOf = (world: World, plan: RoundPlan, keeps: boolean): RoundReport => ({
  violations: world.violations,
  story: [...describePlan(plan), ...world.story],
  folder: keeps ? world.folder : null,
})

const play = async (world: World, plan: RoundPlan): Promise<void> => {
  const commands = await knownCommands(world)
  world.deploy(plan.first)
  const supervisor = world.startSupervisor()
  await supervisor.waitForLine(plan.begins === 'ready' ? /all workers|ready after/ : /worker \d+ starting/, {
    timeout: READY_BOUND,
  })
  void supervisor.exited.then(() => {
    if (!world.hasEndBegun) world.violate('the supervisor ended before the end of the round')
  })
  world.tell('the round begins')
  world.load = plan.hasLoad ? await underLoad(world) : null
  const actions = Promise.all(plan.actions.map((step) => playAction(world, step, commands)))
  await (plan.endsAt === 'rest' ? actions.then(() => comesToRest(world)) : sleep(plan.endsAt))
  judgeLoad(world, await world.load?.stop())
  await playEnding(world, plan.ending, plan.first)
  await actions
  await connectionsEnd(world)
  judge(world, plan)
}

/** A request without an answer after this time (ms) was lost; on a busy machine answers are late. */
const LOST = 12_000

/**
 * Few clients: they are there to notice, not to press. A connection for each request: one that is used again while the
 * worker ends it for idleness is lost, as docs/drain.md says, and a busy machine makes any client late.
 */
const underLoad = async ({ supervisor }: World): Promise<Load> => {
  const [, port] = await supervisor.waitForLine(/listening (\d+)/, { timeout: READY_BOUND })
  await supervisor.waitForLine(/worker \d+ ready/, { timeout: READY_BOUND })
  return startLoad({ port: Number(port), clients: { slow: 3 }, timeout: LOST })
}

const judgeLoad = (world: World, result: LoadResult | undefined): void => {
  if (result === undefined) return
  world.tell(`${result.requests} requests, ${result.failed} failed`)
  if (result.failed > 0) world.violate(`requests failed: ${describeLoad(result)}`)
}

/** After everything all workers are ready, each with its connections, and the primary holds none. */
const comesToRest = async (world: World): Promise<void> => {
  const { supervisor, upstream } = world
  if (supervisor.exit !== null) return
  // A crashing release that was taken for good, because a worker was stopped in that moment, never comes to rest.
  if (mayCrashForEver(world)) return world.tell('rest is not waited for')
  let last: SupervisorStatus | null = null
  const deadline = performance.now() + READY_BOUND
  while (performance.now() < deadline) {
    last = await world.status()
    if (last !== null && isAtRest(last) && hasItsConnections(world, last)) {
      const own = connectedTcpSockets(supervisor.pid)
      if (own.length > 0) world.violate(`the primary holds ${own.length} TCP connections`)
      return world.tell(`at rest: generation ${last.generation}, ${last.workers.length} workers`)
    }
    await sleep(30)
  }
  const workers = last?.workers.map(({ slot, pid, state }) => `${slot}:${pid} ${state}`).join(', ')
  const open = upstream.open.map(({ id, slot, pid }) => `#${id} ${slot}:${pid}`).join(', ')
  world.violate(`it did not come to rest: ${last?.state}, workers ${workers}; upstream has ${open}`)
}

const isAtRest = ({ state, workers }: SupervisorStatus): boolean =>
  state === 'running' && workers.length > 0 && workers.every((worker) => worker.state === 'ready')

/** Each worker's clients are open, and the upstream sees nobody else. */
const hasItsConnections = (world: World, { workers }: SupervisorStatus): boolean => {
  const open = world.upstream.open.map(({ path, pid }) => `${pid} ${path}`).sort()
  const wanted = workers.flatMap(({ pid, clients }) => clients.map(({ name }) => `${pid} /${name}`)).sort()
  return wanted.length > 0 && open.join() === wanted.join()
}

const mayCrashForEver = ({ releases, faults }: World): boolean =>
  faults.some(isWorkerPause) && releases.history.some(({ release }) => release.kind === 'exitsAfterReady')

const judge = (world: World, plan: RoundPlan): void => {
  const { calls, faults, supervisors, upstream, releases, endedAt } = world
  const lines = supervisors.flatMap((supervisor) => supervisor.lines)
  const found = [
    ...judgeCalls({
      calls,
      faults,
      endedAt,
      slowness: Math.max(1, (loadavg()[0] ?? 0) / availableParallelism()),
      kindsWithin: (from, to) => releases.kindsWithin(from, to),
    }),
    ...judgeConnections({
      connections: upstream.connections,
      faults,
      lines,
      wasKilled: plan.ending.type === 'kill',
    }),
    ...(plan.ending.type === 'kill' ? judgeOutput(supervisors[0]?.lines ?? []) : []),
  ]
  for (const violation of found) world.violate(violation)
}

let known: Promise<ReadonlySet<string>> | undefined

/** What this checkout's command line can do: read from its own help, once. */
const knownCommands = ({ home }: World): Promise<ReadonlySet<string>> => {
  known ??= runCli(['--help'], { home }).then(
    ({ stdout }) => new Set([...stdout.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name = '']) => name)),
  )
  return known
}
