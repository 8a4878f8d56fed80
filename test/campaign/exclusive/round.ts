// The exclusive campaigns, one for each kind of fault: senders in processes of their own share one connection, something
// befalls its holder, everything comes to rest, and what the upstream saw is judged. What befalls it is faults.ts.

import { judgeExclusive, violationsOf } from '../../support/judge-exclusive.js'
import { readJournals } from '../../support/sender-journal.js'
import type { Campaign, RoundReport } from '../campaign.js'
import { sleep } from '../sleep.js'
import { inflict } from './faults.js'
import { makePlan } from './make-plan.js'
import { describePlan, type ExclusivePlan, type Fault } from './plan.js'
import { ExclusiveWorld } from './world.js'

const SUMMARIES: { readonly [Type in Fault['type']]: string } = {
  rolling: 'one connection through rolling restarts, and how long it is gone beside a bare connect',
  kill: 'the holder of a connection is killed with -9',
  stop: 'the holder is stopped, for ever or until about the moment in which it is killed for that',
  block: 'the event loop of the holder is blocked',
  'primary-kill': 'the primary is killed with -9, and started again at once',
  'tree-stop': 'a supervisor and all its workers are stopped while somebody else waits',
  stale: 'eight start at once where somebody was killed',
  clock: 'the clock of the holder, or of who waits, jumps by an hour',
}

const TYPES = ['rolling', 'kill', 'stop', 'block', 'primary-kill', 'tree-stop', 'stale', 'clock'] as const

export const exclusiveCampaigns: readonly Campaign[] = TYPES.map((type) => ({
  name: `exclusive-${type}`,
  summary: SUMMARIES[type],
  abandon: () => ExclusiveWorld.abandonAll(),
  playRound: (random) => playPlan(makePlan(type, random)),
}))

/** One round of a given plan. */
export const playPlan = async (plan: ExclusivePlan): Promise<RoundReport> => {
  const world = await ExclusiveWorld.open(plan)
  try {
    await play(world, plan)
  } catch (error) {
    world.violate(`the round could not be played to its end: ${(error as Error).message}`)
    await world.killAll()
  }
  judge(world, plan)
  const keeps = world.violations.length > 0
  await world.close({ plan: describePlan(plan), keeps })
  const { violations, figures } = world
  return {
    violations,
    story: [...describePlan(plan), ...world.story],
    folder: keeps ? world.folder : null,
    figures,
  }
}

const play = async (world: ExclusiveWorld, { first, fault, at }: ExclusivePlan): Promise<void> => {
  if (fault.type === 'rolling') world.startBare()
  const isClockFaked = fault.type === 'clock' && fault.whose === 'holder'
  const participant = world.start(first, 'first', { isClockFaked })
  await world.proved(participant)
  await sleep(at)
  await inflict(world, fault)
  await world.stopBare()
  await world.handDown()
  await world.nothingIsLeft()
}

const judge = (world: ExclusiveWorld, { fault, onUnconfirmed }: ExclusivePlan): void => {
  const journals = readJournals(world.folder)
  const judgement = judgeExclusive(world.upstream.log(), journals)
  const isResending = onUnconfirmed === 'resend'
  const violations = violationsOf(judgement, {
    mayDouble: isResending && fault.type !== 'rolling',
    // Without its primary a worker has a second and a half to leave, and nobody to pass its messages on to.
    isAllOwed: isResending && fault.type !== 'primary-kill',
  })
  for (const violation of violations) world.violate(violation)
  const { overlaps, doubled, rejected } = judgement
  const gaps = judgement.gaps.filter(({ identity }) => identity !== 'bare').map(({ ms }) => ms)
  if (fault.type === 'rolling') world.measure('gap', gaps)
  const sent = journals.reduce((sum, { sent }) => sum + sent.size, 0)
  world.tell(
    `${sent} messages of ${journals.length} senders, ${doubled.length} doubled, ${rejected.length} rejected in order, ` +
      `${overlaps.length} overlaps, gaps of ${gaps.map((ms) => ms.toFixed(1)).join(', ') || 'none'} ms`,
  )
}
