// The campaign of pm2: each round is a cell of the matrix, in their order, played by deeds.ts and judged by what the upstream
// and the senders wrote down.

import { judgeExclusive, violationsOf } from '../../support/judge-exclusive.js'
import { readJournals } from '../../support/sender-journal.js'
import type { Campaign, RoundReport } from '../campaign.js'
import { CELLS, type Cell } from './cells.js'
import { DEEDS } from './deeds.js'
import { Pm2World } from './world.js'

export const pm2Matrix: Campaign = {
  name: 'pm2-matrix',
  summary: `a supervisor under pm2 5, 6 and 7 with all that they can be told: ${CELLS.length} cells, a round each`,
  rounds: CELLS.length,
  abandon: () => Pm2World.abandonAll(),
  playRound: (_random, _isTold, round = 0) => {
    const cell = CELLS[round % CELLS.length]
    if (cell === undefined) throw new Error('the matrix is empty')
    return playCell(cell)
  },
}

export const playCell = async (cell: Cell): Promise<RoundReport> => {
  const world = await Pm2World.open(cell)
  const figures: Record<string, number[]> = {}
  try {
    await world.start()
    const isWarned = /there is no `ps`/.test(world.log())
    if (isWarned !== (!cell.hasPs && cell.treekill && !cell.message))
      world.violate(`it is ${isWarned ? '' : 'not '}warned that there is no ps`)
    for (const deed of cell.deeds) {
      const begun = performance.now()
      const before = await world.isUp()
      await DEEDS[deed](world, before)
      const ms = performance.now() - begun
      figures[deed] = [...(figures[deed] ?? []), ms]
      const supervisors = world.supervisors()
      if (supervisors.length !== 1)
        world.violate(
          `after ${deed} ${supervisors.length} supervisors live: ${supervisors.map(({ pid }) => pid)}`,
        )
      world.tell(`${deed}: ${ms.toFixed(0)} ms`)
    }
    await world.pm2.end()
    const files = world.filesLeft()
    if (files.length > 0) world.violate(`left in the runtime folder: ${files.join(', ')}`)
    await world.isDisconnected()
  } catch (error) {
    world.violate(`the cell could not be played to its end: ${(error as Error).message}`)
    world.pm2.killAll()
  }
  judge(world)
  const keeps = world.violations.length > 0
  await world.close({ keeps })
  return { violations: world.violations, story: world.story, folder: keeps ? world.folder : null, figures }
}

const judge = (world: Pm2World): void => {
  const events = world.upstream.log()
  const judgement = judgeExclusive(events, readJournals(world.folder))
  for (const violation of violationsOf(judgement, { mayDouble: false, isAllOwed: false }))
    world.violate(violation)
  const closed = new Set(events.flatMap((event) => (event.type === 'frame' ? [event.connection] : [])))
  const rude = events.filter((event) => event.type === 'open' && !closed.has(event.connection))
  if (rude.length > 0) world.violate(`${rude.length} connections ended without a Close frame`)
  const opened = events.filter(({ type }) => type === 'open').length
  world.tell(`${opened} connections one after the other, ${judgement.overlaps.length} overlaps`)
}
