// The end of a round: the supervisor is stopped in one of its ways, or killed and started again; and the world after it
// is looked at. Exit codes are judged by judge-calls.ts.

import { readdirSync } from 'node:fs'
import { eventually, withDeadline } from '../../support/deadline.js'
import { stillAlive } from '../../support/process-tree.js'
import type { Exit, SupervisorProcess } from '../../support/supervisor-process.js'
import { sleep } from '../sleep.js'
import { judgeExit } from './judge-exit.js'
import type { Ending, ReleasePlan } from './plan.js'
import { STOP_TIMEOUT } from './releases.js'
import type { World } from './world.js'

/** A stop takes its budget, and what a busy machine adds; pauses of the primary come on top. */
const STOP_BOUND = STOP_TIMEOUT + 7_000
/** The next start after a kill waits for orphans, then boots. */
const NEXT_START_BOUND = 20_000
/** What the runtime folder keeps for ever. */
const STAYS = ['install-id']

export const playEnding = async (world: World, ending: Ending, nextRelease: ReleasePlan): Promise<void> => {
  const { supervisor } = world
  world.tell(`ending: ${JSON.stringify(ending)}`)
  world.beginEnd()
  if (ending.type === 'kill') return killAndStartAgain(world, ending, nextRelease)
  const asked = ask(world, ending)
  const exit = await gone(world, supervisor)
  await asked
  if (exit === null) return
  const isForced = ending.type === 'stopNow' ? 'always' : ending.type === 'doubleSignal' ? 'maybe' : 'never'
  world.violations.push(...judgeExit({ exit, isForced, lines: supervisor.lines, faults: world.faults }))
  checkFolder(world)
}

const ask = async (world: World, ending: Exclude<Ending, { type: 'kill' }>): Promise<void> => {
  const { supervisor } = world
  switch (ending.type) {
    case 'stop':
      return void (await world.cli('stop'))
    case 'stopNow':
      return void (await world.cli('stop', '--now'))
    case 'signal':
      return supervisor.signal(ending.signal)
    case 'groupSignal':
      return supervisor.signalGroup(ending.signal)
    case 'doubleSignal':
      supervisor.signal('SIGTERM')
      await sleep(ending.gap)
      return supervisor.signal('SIGINT')
  }
}

/** Waits for the end and proves that no process is left. Null when that was violated. */
const gone = async (world: World, supervisor: SupervisorProcess): Promise<Exit | null> => {
  try {
    const exit = await supervisor.leavesNothing({ timeout: STOP_BOUND })
    world.tell(`supervisor ${supervisor.pid} ended with ${exit.signal ?? exit.code}`)
    return exit
  } catch (error) {
    world.violate(`the end: ${(error as Error).message.split('\n', 1)[0]}`)
    return null
  }
}

const killAndStartAgain = async (
  world: World,
  { termBefore, pausedWorker, nextAfter }: Extract<Ending, { type: 'kill' }>,
  nextRelease: ReleasePlan,
): Promise<void> => {
  const first = world.supervisor
  const workers = world.workers()
  const paused = pausedWorker === null ? undefined : workers[pausedWorker % Math.max(1, workers.length)]
  if (paused !== undefined) world.fault(paused, 'SIGSTOP', 60_000)
  if (termBefore !== null) {
    first.signal('SIGTERM')
    await sleep(termBefore)
  }
  world.tell('SIGKILL to the supervisor')
  first.signal('SIGKILL')
  await withDeadline(first.exited, { what: 'a killed process to be gone' })
  const orphans = first.members()
  await sleep(nextAfter)
  world.deploy(nextRelease)
  const next = world.startSupervisor()
  try {
    await next.waitForLine(/ ready after /, { timeout: NEXT_START_BOUND })
  } catch (error) {
    world.violate(
      `after a kill the next start did not come up: ${(error as Error).message.split('\n', 1)[0]}`,
    )
  }
  const left = stillAlive(first.members().filter(({ pid }) => orphans.some((orphan) => orphan.pid === pid)))
  if (left.length > 0)
    world.violate(`processes of the killed supervisor live on: ${left.map(({ pid }) => pid)}`)
  judgeOverlap(world, first, next)
  next.signal('SIGTERM')
  const exit = await gone(world, next)
  if (exit !== null)
    world.violations.push(...judgeExit({ exit, isForced: 'never', lines: next.lines, faults: [] }))
  checkFolder(world)
}

/** The next supervisor's first connection comes when the last of the killed one's is gone. */
const judgeOverlap = (world: World, first: SupervisorProcess, next: SupervisorProcess): void => {
  const pidsOf = ({ lines }: SupervisorProcess) =>
    new Set(lines.flatMap((line) => /starting \(pid (\d+)/.exec(line)?.[1] ?? []))
  const newPids = pidsOf(next)
  const oldPids = pidsOf(first)
  for (const old of world.upstream.connections.filter(({ pid }) => pid !== null && oldPids.has(pid))) {
    const early = world.upstream.connections.find(
      ({ pid, acceptedAt }) =>
        pid !== null && newPids.has(pid) && acceptedAt < (old.goneAt ?? Number.POSITIVE_INFINITY),
    )
    if (early === undefined) continue
    const overlap = ((old.goneAt ?? early.acceptedAt) - early.acceptedAt).toFixed(0)
    world.violate(
      `after a kill: connection #${early.id} came ${overlap} ms before #${old.id} of pid ${old.pid} was gone`,
    )
    return
  }
}

const checkFolder = (world: World): void => {
  const files = readdirSync(world.home).filter((name) => !STAYS.includes(name))
  if (files.length > 0) world.violate(`left in the runtime folder: ${files.join(', ')}`)
}

/** Every connection ends soon after its process: the kernel's own work. */
export const connectionsEnd = (world: World): Promise<unknown> =>
  eventually(
    () => world.upstream.connected.length,
    (count) => count === 0,
    { what: 'all upstream connections to be gone', timeout: 2_000 },
  ).catch((error: Error) => world.violate(error.message))
