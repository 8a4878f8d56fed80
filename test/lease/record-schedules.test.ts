// Takers of a record, interleaved at random at every file operation, killed and stalled in between: never two holders,
// and numbers only grow. Where lives are known, a stall of any length changes nothing; where they are not, a holder that
// stalls longer than its fence does not count as one, for it asks before it goes on.

import t from 'tap'
import { Random } from '../campaign/random.js'
import { type ModelOptions, RecordModel } from './record-model.js'

/** Short ones meet at the start, where most can go wrong; in long ones an owner can become stale. */
const ROUNDS = [
  { schedules: 6_000, steps: 60 },
  { schedules: 600, steps: 1_000 },
]

const play = (seed: number, steps: number, options: Omit<ModelOptions, 'random'>): RecordModel => {
  const random = new Random(seed)
  const model = new RecordModel({ ...options, random: () => random.next() })
  for (let step = 0; step < steps; step++) {
    model.step()
    if (model.holders().length > 1) {
      throw new Error(`two holders, seed ${seed}:\n${model.story.slice(-60).join('\n')}`)
    }
  }
  return model
}

for (const isLifeKnown of [true, false]) {
  for (const isStaleAtStart of [true, false]) {
    const lives = isLifeKnown ? 'lives are known' : 'lives are not known'
    const start = isStaleAtStart ? 'a stale record' : 'an empty folder'
    t.test(`never two holders, from ${start}, where ${lives}`, async (t) => {
      for (const { schedules, steps } of ROUNDS) {
        let grants = 0
        for (let seed = 1; seed <= schedules; seed++) {
          const { epochs, story } = play(seed, steps, { takers: 2 + (seed % 3), isLifeKnown, isStaleAtStart })
          grants += epochs.length
          const sorted = [...new Set(epochs)].sort((a, b) => a - b)
          if (`${sorted}` !== `${epochs}`)
            t.same(epochs, sorted, `seed ${seed}:\n${story.slice(-60).join('\n')}`)
        }
        t.comment(`${grants} grants in ${schedules} schedules of ${steps} steps`)
        if (isLifeKnown || steps > 60) t.ok(grants > schedules / 2, 'most schedules grant')
      }
    })
  }
}
