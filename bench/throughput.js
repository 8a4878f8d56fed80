// node bench/throughput.js [--rounds 9] [--ms 2000]: answers a second of a plain app on 2 workers, over 32 keep-alive
// connections, and answers for each second of CPU that primary and workers used. The client shares the machine with what
// it measures, and other work may too: the second figure does not depend on that.
import { workersAnswer } from './kit/answers.js'
import { barrage } from './kit/barrage.js'
import { ratio, spread } from './kit/figures.js'
import { cpuOfAll } from './kit/processes.js'
import { measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 2
const CONNECTIONS = 32
const { rounds, ms } = numbersAsked({ rounds: 9, ms: 2_000 }, { ms: 100 })
printTitle(`Throughput: ${WORKERS} workers, ${CONNECTIONS} keep-alive connections`, rounds)
const results = await measureInRounds({
  rounds,
  targets: installed([raw, supervisor(), pm2()]),
  measure: (target) =>
    withService(target, WORKERS, async ({ port, primary }) => {
      const pids = [...(await workersAnswer(port, WORKERS)), primary()]
      // The first half warms up the compiler of the workers.
      await barrage({ port, connections: CONNECTIONS, ms: ms / 2 })
      const before = cpuOfAll(pids)
      const { answers, seconds } = await barrage({ port, connections: CONNECTIONS, ms })
      return { rate: answers / seconds, perCpuSecond: answers / ((cpuOfAll(pids) - before) / 1_000) }
    }),
})
const base = results.get(raw) ?? []
const rows = [...results].map(([{ name }, figures]) => [
  name,
  .../** @type {const} */ (['rate', 'perCpuSecond']).flatMap((field) => {
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
printTable(['target', 'answers a second', 'ratio to raw', 'answers a CPU second', 'ratio to raw'], rows)
