// That works side by side leave the event loop its turns, and none of them is forgotten.

import t from 'tap'
import { Slices } from '../../src/audit/slices.js'

/** A step that takes as long as it says, whatever the machine does. */
const busyFor = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** How many slices each of several works got, and in which turns of the event loop. */
const workSideBySide = async (works: number, steps: number): Promise<Map<number, number[]>> => {
  let turn = 0
  let isOver = false
  const count = (): void => {
    turn++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const turns = new Map<number, number[]>()
  await Promise.all(
    Array.from({ length: works }, async (_, work) => {
      const slices = new Slices()
      const own: number[] = []
      turns.set(work, own)
      for (let step = 0; step < steps; step++) {
        busyFor(1)
        if (own.at(-1) !== turn) own.push(turn)
        if (slices.isOver) await slices.next()
      }
    }),
  )
  isOver = true
  return turns
}

t.test('one turn of the event loop belongs to one work, after the first step of each', async (t) => {
  const turns = [...(await workSideBySide(4, 12)).values()]
  t.equal(turns.length, 4)
  const later = turns.flatMap((own) => own.filter((turn) => turn > 0))
  t.equal(new Set(later).size, later.length, JSON.stringify(turns))
  for (const own of turns) t.ok(own.length >= 3, 'twelve steps of 1 ms are some slices of 3 ms')
})

t.test('an aborted signal ends it at the start and at the next slice', async (t) => {
  t.throws(() => new Slices(AbortSignal.abort(new Error('enough'))), /enough/)
  const controller = new AbortController()
  const slices = new Slices(controller.signal)
  controller.abort(new Error('enough by now'))
  await t.rejects(slices.next(), /enough by now/)
  await new Slices().next()
  t.pass('and holds up nobody else')
})
