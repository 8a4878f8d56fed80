// node bench/request-guard.js [--rounds 9] [--ms 2000]: what the request guard costs a plain app on one worker, over 32
// keep-alive connections: off; warn, which does not look before something is there that could dial; and throw, which
// always looks, as warn does from then on. Beside it what recording a dialled socket costs: bench/peers/dials.js.
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
const guarded = ['off', 'warn', 'throw'].map((mode) =>
  supervisor({ name: `requestGuard ${mode}`, flags: ['--request-guard', mode] }),
)
const answers = await measureInRounds({
  rounds,
  targets: guarded,
  measure: (target) =>
    withService(target, WORKERS, async ({ port }) => {
      const pids = await workersAnswer(port, WORKERS)
      // The first half warms up the compiler of the worker.
      await barrage({ port, connections: CONNECTIONS, ms: ms / 2 })
      const before = cpuOfAll(pids)
      const { answers: count, seconds } = await barrage({ port, connections: CONNECTIONS, ms })
      return { rate: count / seconds, perCpuSecond: count / ((cpuOfAll(pids) - before) / 1_000) }
    }),
})
printRatios('answers', answers, ['rate', 'perCpuSecond'], ['a second', 'a CPU second'])

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
printRatios('connects', connects, ['rate', 'perCpuSecond'], ['a second', 'a CPU second'])

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
