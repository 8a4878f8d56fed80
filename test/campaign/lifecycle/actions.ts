// Carries out the actions of a round's plan. What comes of them is judged later, from what the world took down.

import { signalProcess } from '../../../src/shared/process-identity.js'
import type { SupervisorStatus } from '../../../src/shared/status.js'
import { type ProcessRow, processRow } from '../../support/process-tree.js'
import { sleep } from '../sleep.js'
import { askAndLeave, GARBAGE, sendGarbage } from './garbage.js'
import { isDisturbed } from './journal.js'
import { type Action, describeAction, type Moment, type ReleasePlan, type ReloadVia } from './plan.js'
import type { World } from './world.js'

/** How long an event is waited for before the action is done all the same (ms). */
const EVENT_PATIENCE = 1_500

/** Waits for its moment and does it; nothing is done to a supervisor that is gone. */
export const playAction = async (
  world: World,
  { moment, action }: { moment: Moment; action: Action },
  commands: ReadonlySet<string>,
): Promise<void> => {
  await Promise.race([arrives(world, moment), world.supervisor.exited])
  if (world.supervisor.exit !== null || world.supervisors.length > 1) return
  await play(world, action, commands)
}

const arrives = async (world: World, { after, ms }: Moment): Promise<void> => {
  const { supervisor } = world
  if (after !== 'begin') {
    const options = { after: supervisor.lines.length, timeout: EVENT_PATIENCE }
    await supervisor.waitForLine(new RegExp(`worker \\d+ ${after}\\b`), options).catch(() => {})
  }
  await sleep(ms)
}

const play = async (world: World, action: Action, commands: ReadonlySet<string>): Promise<void> => {
  switch (action.type) {
    case 'reload':
      return reload(world, action.release, action.via)
    case 'scale':
      if (!commands.has('scale')) return
      return scale(world, action.workers)
    case 'restart':
      if (!commands.has('restart')) return
      return world.alone(async () => void (await world.cli('restart')))
    case 'scaleSignal':
      if (!commands.has('scale')) return
      return asksUnwatched(world, () => signalPrimary(world, action.signal))
    case 'status':
      return void (await world.cli('status', '--json'))
    case 'logs':
      return void (await world.cli('logs', '-n', '20'))
    case 'garbage':
      return garbage(world, action.variant)
    case 'signalPrimary':
      return signalPrimary(world, action.signal)
    case 'signalWorker':
      return hitWorker(world, action.nth, action.signal)
    case 'killWorker':
      return hitWorker(world, action.nth, 'SIGKILL')
    case 'pauseWorker':
      return pause(world, workerAt(world, action.nth), action.ms)
    case 'pausePrimary':
      return pause(world, processRow(world.supervisor.pid), action.ms)
  }
}

const reload = async (world: World, release: ReleasePlan, via: ReloadVia): Promise<void> => {
  const before = await world.status()
  world.deploy(release)
  world.tell(describeAction({ type: 'reload', release, via }))
  if (via === 'SIGHUP' || via === 'SIGUSR2') return asksUnwatched(world, () => signalPrimary(world, via))
  if (via === 'abandoned') return asksUnwatched(world, () => askAndLeave(world.socketPath, '/v1/reload'))
  await world.alone(async (isAlone) => {
    const call = await world.cli('reload')
    if (call?.code !== 5 || before?.state !== 'running' || !isAlone()) return
    const after = await world.status()
    const isQuiet =
      isAlone() && !world.hasEndBegun && !isDisturbed(world.faults, call.from, performance.now())
    if (after === null || !isQuiet || namesOf(before) === namesOf(after)) return
    world.violate(`a failed reload changed something: ${namesOf(before)} became ${namesOf(after)}`)
  })
}

const scale = (world: World, workers: number): Promise<void> =>
  world.alone(async (isAlone) => {
    const call = await world.cli('scale', String(workers))
    if (call?.code !== 0 || !isAlone()) return
    const after = await world.status()
    // Scaling waits for slots of its own only: those of the start may still be empty.
    if (after?.state !== 'running' || !isAlone() || world.hasEndBegun) return
    // A worker and its replacement share a slot.
    const slots = new Set(after.workers.map(({ slot }) => slot)).size
    if (slots !== workers) world.violate(`after scale ${workers} there are ${slots} slots`)
  })

/** Who serves: a failed reload leaves the very same workers. */
const namesOf = ({ generation, workers }: SupervisorStatus): string =>
  `generation ${generation} ${workers.map(({ slot, pid }) => `${slot}:${pid}`).join(' ')}`

/** Nobody sees when that operation ends. */
const asksUnwatched = (world: World, ask: () => void | Promise<void>): void | Promise<void> => {
  world.operationsUnwatched++
  return ask()
}

const garbage = async (world: World, variant: number): Promise<void> => {
  const { what, bytes } = GARBAGE[variant] ?? { what: 'nothing', bytes: '' }
  const answer = await sendGarbage(world.socketPath, bytes)
  world.tell(`garbage (${what}): ${answer}`)
}

const signalPrimary = (world: World, signal: NodeJS.Signals): void => {
  world.tell(`${signal} to the supervisor`)
  world.supervisor.signal(signal)
}

const workerAt = (world: World, nth: number): ProcessRow | null => {
  const workers = world.workers()
  return workers[nth % Math.max(1, workers.length)] ?? null
}

const hitWorker = (world: World, nth: number, signal: NodeJS.Signals): void => {
  const worker = workerAt(world, nth)
  if (worker !== null) world.fault(worker, signal)
}

const pause = async (world: World, row: ProcessRow | null, ms: number): Promise<void> => {
  if (row === null) return
  world.fault(row, 'SIGSTOP', ms)
  await sleep(ms)
  signalProcess(row, 'SIGCONT')
  world.tell(`SIGCONT to ${row.pid}`)
}
