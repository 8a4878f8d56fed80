// What befalls an exclusive connection, done to real processes. Each ends when the identity is open again, or has stayed
// open, and messages flow. What is done, and when, is plan.ts.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signalProcess } from '../../../src/shared/process-identity.js'
import { upstreamClock } from '../../support/exclusive-log.js'
import type { ProcessRow } from '../../support/process-tree.js'
import { sleep } from '../sleep.js'
import type { Participant } from './participant.js'
import type { Fault } from './plan.js'
import type { ExclusiveWorld } from './world.js'

export const inflict = async (world: ExclusiveWorld, fault: Fault): Promise<void> => {
  const first = world.participants[0]
  if (first === undefined) throw new Error('nobody takes part')
  switch (fault.type) {
    case 'rolling':
      return roll(world, first, fault.reloads)
    case 'kill':
      for (const pause of fault.pauses) {
        await sleep(pause)
        await killHolder(world)
      }
      return
    case 'stop':
      return stopHolder(world, fault.continueAfter)
    case 'block':
      return blockHolder(world, fault.ms)
    case 'primary-kill':
      return killPrimary(world, first)
    case 'tree-stop':
      return stopTree(world, first, fault)
    case 'stale':
      return meetStaleRecord(world, first, fault)
    case 'clock':
      return moveClock(world, fault)
  }
}

const roll = async (world: ExclusiveWorld, { control }: Participant, reloads: number): Promise<void> => {
  for (let count = 0; count < reloads; count++) {
    const { ok, message } = await control.reload()
    world.tell(`reload: ${message}`)
    if (!ok) world.violate(`a reload failed: ${message}`)
  }
  await world.flowsAgain()
}

/** Signals a process, and tells the moment before: nobody can have noticed earlier. */
const signal = (world: ExclusiveWorld, row: ProcessRow, name: NodeJS.Signals): number => {
  const at = upstreamClock()
  if (!signalProcess(row, name)) world.tell(`${row.pid} was gone before ${name}`)
  world.tell(`${name} to ${row.pid}`)
  return at
}

const killHolder = async (world: ExclusiveWorld): Promise<void> => {
  const { participant, row } = await world.holder()
  if (row.pid === participant.process.pid) participant.isKilled = true
  const at = signal(world, row, 'SIGKILL')
  await world.openedAgain(at)
  await world.flowsAgain()
}

const stopHolder = async (world: ExclusiveWorld, continueAfter: number | null): Promise<void> => {
  const { row } = await world.holder()
  const at = signal(world, row, 'SIGSTOP')
  if (continueAfter === null) await world.openedAgain(at)
  else {
    await sleep(continueAfter)
    signal(world, row, 'SIGCONT')
  }
  await world.flowsAgain()
}

const blockHolder = async (world: ExclusiveWorld, ms: number): Promise<void> => {
  const { row } = await world.holder()
  writeFileSync(join(world.folder, 'block'), String(ms))
  signal(world, row, 'SIGWINCH')
  await sleep(ms)
  await world.flowsAgain()
}

const killPrimary = async (world: ExclusiveWorld, first: Participant): Promise<void> => {
  const [primary] = first.rows()
  if (primary === undefined) throw new Error('the supervisor is gone')
  first.isKilled = true
  const at = signal(world, primary, 'SIGKILL')
  const second = world.start(first.starter, first.name)
  await world.openedAgain(at)
  await world.proved(second)
}

const stopTree = async (
  world: ExclusiveWorld,
  first: Participant,
  { ms, ending, waiter }: Extract<Fault, { type: 'tree-stop' }>,
): Promise<void> => {
  await world.atWork(world.start(waiter, 'waiter'))
  const rows = first.rows()
  for (const row of rows) signal(world, row, 'SIGSTOP')
  await sleep(ms)
  if (ending === 'continue') for (const row of rows) signal(world, row, 'SIGCONT')
  else {
    const at = upstreamClock()
    world.tell('all of them are killed')
    await first.killAll()
    await world.openedAgain(at)
  }
  await world.flowsAgain()
}

const meetStaleRecord = async (
  world: ExclusiveWorld,
  first: Participant,
  { starters, endings }: Extract<Fault, { type: 'stale' }>,
): Promise<void> => {
  const at = upstreamClock()
  await first.killAll()
  world.tell('the first is killed with all its workers')
  const all = starters.map((starter, index) => world.start(starter, `starter-${index + 1}`))
  await world.openedAgain(at)
  await Promise.all(all.map((participant) => world.atWork(participant)))
  await world.flowsAgain()
  for (const ending of endings) {
    const { participant } = await world.holder()
    const since = upstreamClock()
    world.tell(`${ending} to ${participant.name}, which holds`)
    await (ending === 'SIGKILL' ? participant.killAll() : participant.stop())
    await world.openedAgain(since)
    await world.flowsAgain()
  }
}

/** After the jumps the holder is killed: whoever waits has to notice that, whatever its clock says. */
const moveClock = async (
  world: ExclusiveWorld,
  { whose, jumps, waiter }: Extract<Fault, { type: 'clock' }>,
): Promise<void> => {
  const second = world.start(waiter, 'waiter', { isClockFaked: whose === 'waiter' })
  await world.atWork(second)
  const moved = whose === 'waiter' ? second : world.participants[0]
  for (const { pause, to } of jumps) {
    moved?.moveClock(to)
    world.tell(`the clock of ${moved?.name} is ${to} s off`)
    await sleep(pause)
  }
  await world.flowsAgain()
  const { participant } = await world.holder()
  const at = upstreamClock()
  world.tell(`${participant.name}, which holds, is killed with all it has`)
  await participant.killAll()
  await world.openedAgain(at)
  await world.flowsAgain()
}
