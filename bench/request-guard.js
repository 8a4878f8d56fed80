// node bench/request-guard.js [--rounds 9] [--ms 2000]: what the request guard costs a plain app on one worker, over 32
// keep-alive connections: off; warn, which does not look before something is there that could dial; and throw, which
// always looks, as warn does from then on. The three run at once, each with its own load, and the figure is answers for
// each second of CPU: how many a second they manage would be how they share the machine. Beside it what recording a dialled socket costs: bench/peers/dials.js.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { workersAnswer } from './kit/answers.js'
import { barrage } from './kit/barrage.js'
import { ratio, spread } from './kit/figures.js'
import { ROOT } from './kit/launch.js'
import { cpuOfAll } from './kit/processes.js'
import { measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 1
const CONNECTIONS = 32
const { rounds, ms } = numbersAsked({ rounds: 9, ms: 2_000 }, { ms: 100 })

printTitle(`Request guard: ${WORKERS} worker, ${CONNECTIONS} keep-alive connections`, rounds)
const modes = ['off', 'warn', 'throw']
const guarded = modes.map((mode) =>
  supervisor({ name: `requestGuard ${mode}`, flags: ['--request-guard', mode] }),
)
/** @type {Map<import('./kit/service.js').Target, { perCpuSecond: number }[]>} */
const answers = new Map(guarded.map((target) => [target, []]))
for (let round = 0; round <= rounds; round++) {
  const figures = await allAtOnce(guarded)
  // The first round is thrown away.
  if (round === 0) continue
  for (const [index, figure] of figures.entries()) [...answers.values()][index]?.push(figure)
}
printRatios('answers', answers, ['perCpuSecond'], ['a CPU second'])

printTitle('Record of dialled sockets: connects to a server on loopback, one after the other', rounds)
const dials = ['not recorded', 'recorded'].map((name) => ({ name, isRecorded: name === 'recorded' }))
const connects = await measureInRounds({
  rounds,
  targets: dials,
  measure: async ({ isRecorded }) => {
    const args = ['bench/peers/dials.js', String(ms), isRecorded ? 'record' : '']
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 60_000 })
    return /** @type {{ rate: number, perCpuSecond: number }} */ (JSON.parse(stdout))
  },
})
printRatios('connects', connects, ['perCpuSecond'], ['a CPU second'])

/**
 * All of them under load in the same moment: what else the machine does falls on all alike.
 *
 * @param {import('./kit/service.js').Target[]} targets
 * @param {number[]} [ports] @param {Iterable<number>[]} [pids] of those that run already.
 * @returns {Promise<{ perCpuSecond: number }[]>}
 */
async function allAtOnce([target, ...others], ports = [], pids = []) {
  if (target !== undefined) {
    return withService(target, WORKERS, async ({ port }) =>
      allAtOnce(others, [...ports, port], [...pids, await workersAnswer(port, WORKERS)]),
    )
  }
  const load = (/** @type {number} */ time) =>
    Promise.all(ports.map((port) => barrage({ port, connections: CONNECTIONS, ms: time })))
  // The first half warms up the compilers of the workers.
  await load(ms / 2)
  const before = pids.map(cpuOfAll)
  const results = await load(ms)
  return results.map(({ answers: count }, index) => ({
    perCpuSecond: count / ((cpuOfAll(pids[index] ?? []) - (before[index] ?? 0)) / 1_000),
  }))
}

/**
 * @template {{ name: string }} Target @template {string} Field
 * @param {string} what @param {Map<Target, Record<Field, number>[]>} results @param {Field[]} fields @param {string[]} per
 */
function printRatios(what, results, fields, per) {
  const [[first, base]] = /** @type {[[Target, Record<Field, number>[]]]} */ ([...results])
  const rows = [...results].map(([{ name }, figures]) => [
    name,
    ...fields.flatMap((field) => {
      const values = figures.map((figure) => figure[field])
      return [
        spread(values),
        ratio(
          values,
          base.map((figure) => figure[field]),
        ),
      ]
    }),
  ])
  const heads = per.flatMap((one) => [`${what} ${one}`, `ratio to ${first.name}`])
  printTable(['', ...heads], rows)
}
