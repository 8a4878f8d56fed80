// node bench/handoff.js [--rounds 5] [--restarts 3]: how long an upstream is without its exclusive connection when that
// goes from one worker to another, as the upstream sees it: from the end of the one to the opening of the next.
//
// Beside it, in the same round, the least that it can be: one plain `ws` client, warm, that makes the close handshake and
// dials again, when its connection was open for as long as those that are handed over; and in no time, when not even the
// processor has had a pause. By `supervisor handoff`, for the first time into a worker and later; and by rolling restarts.
import { workersAnswer } from './kit/answers.js'
import { quantile, spread } from './kit/figures.js'
import { isTry, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { changesOf, startRecorder } from './kit/upstream.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = isTry ? 2 : 4
const REDIALS = isTry ? 5 : 50
/** ms that a connection is open between two handovers by hand. */
const STAY = 40
/** Handovers into each worker after its first. */
const LATER = isTry ? 1 : 4
const { rounds, restarts } = numbersAsked({ rounds: 5, restarts: 3 }, { restarts: 1 })

/** @typedef {import('./kit/upstream.js').Change} Change */
/** @type {Record<string, Change[]>} */
const changes = {
  'bare connect': [],
  'bare connect, again and again': [],
  'handoff, first into a worker': [],
  'handoff, later': [],
  'rolling restart': [],
}

printTitle('Exclusive connections: the gap of a handover', rounds)
const recorder = await startRecorder()
try {
  for (let round = isTry ? 1 : 0; round <= rounds; round++) {
    const found = await measure(`round-${round}`)
    for (const [what, more] of Object.entries(found)) if (round > 0) changes[what]?.push(...more)
  }
} finally {
  await recorder.end()
}
const base = (changes['bare connect'] ?? []).map(({ gap }) => gap)
printTable(
  [
    'gap',
    'how many',
    'ms',
    'p95 ms',
    'median over bare',
    'p95 over bare',
    'end to TCP, median ms',
    'TCP to open, median ms',
  ],
  Object.entries(changes).map(([what, all]) => {
    const gaps = all.map(({ gap }) => gap)
    const middle = (/** @type {'dialled' | 'upgraded'} */ part) =>
      quantile(
        all.map((change) => change[part]),
        0.5,
      )
    const over = (/** @type {number} */ share) => quantile(gaps, share) - quantile(base, share)
    return [
      what,
      all.length,
      spread(gaps, 2),
      ...[quantile(gaps, 0.95), over(0.5), over(0.95), middle('dialled'), middle('upgraded')].map((ms) =>
        ms.toFixed(2),
      ),
    ]
  }),
)
console.log('Goals: median <= bare connect + 2 ms, p95 <= bare connect + 10 ms.')

/** One service, from its start; each of its workers is cold. @param {string} identity */
async function measure(identity) {
  const env = { GUARD: 'forksafe', UPSTREAM: recorder.url(identity) }
  const target = supervisor({ app: 'bench/peers/exclusive-app.js', env, flags: ['--min-uptime', '0'] })
  const opened = recorder.opening((span) => span.identity === identity, 'the first connection')
  const bare = await recorder.redial(REDIALS, STAY)
  const restless = await recorder.redial(REDIALS, 0)
  const handed = await withService(target, WORKERS, async ({ port, handOff, roll }) => {
    await workersAnswer(port, WORKERS)
    const [first = ''] = (await opened).who.split('.')
    for (let turn = 0; turn <= LATER; turn++) {
      for (let step = 1; step <= WORKERS; step++) await handOff?.((Number(first) + step) % WORKERS)
    }
    const rolledFrom = recorder.now()
    for (let restart = 0; restart < restarts; restart++) await roll()
    const all = changesOf((await recorder.all()).spans, identity)
    return { all, rolledFrom }
  })
  const byHand = handed.all.filter(({ at }) => at < handed.rolledFrom)
  return {
    'bare connect': bare,
    'bare connect, again and again': restless,
    // Back in the worker that had it first is no first time.
    'handoff, first into a worker': byHand.slice(0, WORKERS - 1),
    'handoff, later': byHand.slice(WORKERS - 1),
    'rolling restart': handed.all.filter(({ at }) => at >= handed.rolledFrom),
  }
}
