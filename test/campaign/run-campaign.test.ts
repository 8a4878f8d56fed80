// How rounds are run, counted, remembered and repeated, with a campaign that plays nothing.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Campaign } from './campaign.js'
import { type CampaignState, isDone, markDone, newState, readState, writeState } from './campaign-state.js'
import { readCampaignOptions } from './options.js'
import { Random, seedOfRound } from './random.js'
import { runCampaign } from './run-campaign.js'

/** Each round draws one number and is bad when that is below `badBelow`. */
const drawing = (badBelow = 0): { campaign: Campaign; drawn: number[] } => {
  const drawn: number[] = []
  const campaign: Campaign = {
    name: 'drawing',
    summary: 'draws a number',
    abandon: () => {},
    playRound: async (random) => {
      const number = random.next()
      drawn.push(number)
      const isBad = number < badBelow
      return { violations: isBad ? [`drew ${number}`] : [], story: ['drew'], folder: isBad ? '/kept' : null }
    },
  }
  return { campaign, drawn }
}

const run = async (
  campaign: Campaign,
  state: CampaignState,
  options: { jobs?: number; signal?: AbortSignal; onRoundDone?: (state: CampaignState) => void } = {},
): Promise<string[]> => {
  const said: string[] = []
  await runCampaign({
    campaign,
    state,
    jobs: 2,
    say: (line) => said.push(line),
    onRoundDone: () => {},
    ...options,
  })
  return said
}

t.test('the same seed draws the same, another round and another seed something else', async (t) => {
  const first = drawing()
  const again = drawing()
  await run(first.campaign, newState('drawing', 5, 50))
  await run(again.campaign, newState('drawing', 5, 50))
  t.same(first.drawn, again.drawn)
  t.equal(new Set(first.drawn).size, 50)
  t.not(seedOfRound(5, 0), seedOfRound(6, 0))
  t.equal(first.drawn[7], new Random(seedOfRound(5, 7)).next(), 'a round can be played alone')
})

t.test(
  'the last line counts, and a violation names round, story, folder and how to play it again',
  async (t) => {
    const good = await run(drawing().campaign, newState('drawing', 1, 10))
    t.same(good, ['drawing: 10 rounds, 0 violations, seed 1'])
    const state = newState('drawing', 1, 10)
    const bad = await run(drawing(1).campaign, state)
    t.equal(bad.at(-1), 'drawing: 10 rounds, 10 violations, seed 1')
    t.match(
      bad.join('\n'),
      /round 3: VIOLATION drew 0\.\d+\n {2}drew\n {2}kept: \/kept\n.*--seed 1 --round 3/,
    )
    t.equal(state.findings.length, 10)
  },
)

t.test('an interrupted campaign goes on where it was, and no round is played twice', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'state.json')
  const { campaign, drawn } = drawing(0.3)
  const interrupted = new AbortController()
  await run(campaign, newState('drawing', 9, 40), {
    signal: interrupted.signal,
    onRoundDone: (state) => {
      writeState(file, state)
      if (drawn.length === 15) interrupted.abort()
    },
  })
  t.ok(drawn.length < 20, 'it was interrupted')
  const resumed = readState(file, 'drawing')
  const said = await run(campaign, resumed)
  t.equal(drawn.length, 40)
  t.equal(new Set(drawn).size, 40)
  const whole = newState('drawing', 9, 40)
  await run(drawing(0.3).campaign, whole)
  const rounds = ({ findings }: CampaignState) => findings.map(({ round }) => round).sort((a, b) => a - b)
  t.same(rounds(resumed), rounds(whole))
  t.match(said.at(-1), /^drawing: 40 rounds, \d+ violations, seed 9$/)
  t.same(readdirSync(folder), ['state.json'], 'no draft stays')
})

t.test(
  'where a round takes no time, the state is kept after each batch, each finding and the last',
  async (t) => {
    const kept: number[] = []
    const { campaign } = drawing()
    const state = newState('drawing', 9, 25)
    const onRoundDone = ({ doneBelow }: CampaignState) => void kept.push(doneBelow)
    const said = await run({ ...campaign, batch: 10 }, state, { jobs: 1, onRoundDone })
    t.same(kept, [10, 20, 25])
    t.match(said, [
      /20 of 25 rounds, 0 violations, \d+\.\d\d ms a round/,
      'drawing: 25 rounds, 0 violations, seed 9',
    ])
    const bad: number[] = []
    await run({ ...drawing(1).campaign, batch: 10 }, newState('drawing', 9, 3), {
      jobs: 1,
      onRoundDone: ({ doneBelow }) => void bad.push(doneBelow),
    })
    t.same(bad, [1, 2, 3, 3])
  },
)

t.test('what the rounds have measured is told together, before the result', async (t) => {
  const { campaign } = drawing()
  let round = 0
  const playRound: Campaign['playRound'] = async () => ({
    violations: [],
    story: [],
    folder: null,
    figures: { gap: [++round, 10 * round], ...(round === 2 ? { other: [7.26] } : {}) },
  })
  t.same(await run({ ...campaign, playRound }, newState('drawing', 1, 3), { jobs: 1 }), [
    'drawing: gap: median 3.0 ms, p95 30.0 ms, most 30.0 ms, of 6',
    'drawing: other: median 7.3 ms, p95 7.3 ms, most 7.3 ms, of 1',
    'drawing: 3 rounds, 0 violations, seed 1',
  ])
})

t.test('rounds that end out of order are all remembered', async (t) => {
  const state = newState('drawing', 0, 10)
  for (const round of [2, 0, 5, 1]) markDone(state, round, null)
  t.same([state.doneBelow, state.doneBeyond], [3, [5]])
  t.same(
    [0, 1, 2, 3, 4, 5, 6].filter((round) => isDone(state, round)),
    [0, 1, 2, 5],
  )
})

t.test('a state that cannot be resumed is refused in one line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'state.json')
  t.throws(() => readState(file, 'drawing'), /^--state .*state\.json: cannot be read .*without --resume$/)
  writeFileSync(file, '{"seed":1}')
  t.throws(() => readState(file, 'drawing'), /is not the state of a campaign; name another file/)
  writeState(file, newState('other', 1, 1))
  t.throws(() => readState(file, 'drawing'), /belongs to campaign other and not drawing; name another file/)
})

t.test('a wrong command line is refused in one line with a remedy', async (t) => {
  const read = (...args: string[]) => readCampaignOptions(args, ['lifecycle'])
  t.match(read('lifecycle'), { name: 'lifecycle', rounds: null, seed: null, jobs: 1, resume: false })
  t.match(read('lifecycle', '--seed', '3', '--round', '0', '--jobs', '2'), { seed: 3, round: 0, jobs: 2 })
  t.throws(() => read(), /campaign "" is unknown; there is lifecycle: npm run campaign/)
  t.throws(() => read('lifecycel'), /campaign "lifecycel" is unknown/)
  t.throws(() => read('lifecycle', '--rounds', '0'), /--rounds: "0" is not a whole number from 1 to 1000000/)
  t.throws(() => read('lifecycle', '--seed', 'x'), /--seed: "x" is not a whole number/)
  t.throws(() => read('lifecycle', '--round', '3'), /--round is a round of a seed; add --seed S/)
  t.throws(() => read('lifecycle', '--resume', '--seed', '1'), /leave out --seed and --round/)
  t.throws(() => read('lifecycle', '--speed', '1'), /--speed/)
})
