// The campaign `relay`: fifty callers publish numbered messages through a real relay while processes are killed and stopped
// and its disk fails, and then the question whether what was accepted has arrived, once for each id and connection, in
// order, over one connection at a time. What befalls it is plan.ts, what must hold judge.ts.

import { eventually } from '../../support/deadline.js'
import type { Campaign, RoundReport } from '../campaign.js'
import { sleep } from '../sleep.js'
import { inflict } from './faults.js'
import { judgeRelay } from './judge.js'
import { describePlan, makePlan, type RelayPlan } from './plan.js'
import { RelayWorld } from './world.js'

/** After the last fault all that was handed in is accepted within this, and has arrived (ms). */
const CALM_BOUND = 45_000

export const relay: Campaign = {
  name: 'relay',
  summary:
    'relay workers, primary and upstream killed and stopped, disk full and failing, under fifty callers',
  abandon: () => RelayWorld.abandonAll(),
  playRound: (random) => playPlan(makePlan(random)),
}

/** One round of a given plan. */
export const playPlan = async (plan: RelayPlan): Promise<RoundReport> => {
  const world = await RelayWorld.open(plan)
  try {
    await play(world, plan)
  } catch (error) {
    world.violate(`the round could not be played to its end: ${(error as Error).message}`)
  }
  const published = world.callers.flatMap((caller) => caller.published)
  for (const violation of judgeRelay(world.lives(), published)) world.violate(violation)
  for (const { complaints } of world.callers)
    for (const what of complaints) world.violate(`a caller was answered ${what}`)
  world.tell(`${published.length} published, ${world.arrived().size} arrived; ${describeCounts(world)}`)
  await world.close(describePlan(plan))
  const { violations, story, folder } = world
  return {
    violations,
    story: [...describePlan(plan), ...story],
    folder: violations.length > 0 ? folder : null,
  }
}

const play = async (world: RelayWorld, { steps }: RelayPlan): Promise<void> => {
  world.startSupervisor()
  await world.ready()
  const calls = Promise.all(world.callers.map((caller) => caller.run()))
  const begun = performance.now()
  for (const { at, fault } of steps) {
    await sleep(Math.max(0, at - (performance.now() - begun)))
    await inflict(world, fault)
  }
  world.tell('the callers finish')
  for (const caller of world.callers) caller.finish()
  let isOver = false
  void calls.then(() => {
    isOver = true
  })
  await eventually(
    () => world.callers.flatMap(({ published }) => published.filter(isOpen)).length,
    (open) => open === 0 && isOver,
    { what: 'all that was handed in to be accepted', timeout: CALM_BOUND },
  )
  world.tell('all is accepted')
  const owed = world.callers.flatMap(({ published }) => published.filter(({ accepted }) => accepted !== null))
  await eventually(
    () => {
      const arrived = world.arrived()
      return owed.filter(({ key, number }) => !arrived.has(`${key}-${number}`)).length
    },
    (missing) => missing === 0,
    { what: 'all that was accepted to arrive', timeout: CALM_BOUND },
  )
  world.tell('all has arrived')
  await world.end()
}

const isOpen = ({ accepted, isRefused }: { accepted: number | null; isRefused: boolean }): boolean =>
  accepted === null && !isRefused

const describeCounts = ({ callers }: RelayWorld): string => {
  const sums = new Map<string, number>()
  for (const { counts } of callers)
    for (const [what, count] of counts) sums.set(what, (sums.get(what) ?? 0) + count)
  return [...sums].map(([what, count]) => `${what} ${count}`).join(', ')
}
