// node bench/throughput.js [--rounds 9] [--ms 2000]: answers a second of a plain app on 2 workers, over 32 keep-alive
// connections. The client shares the machine with what it measures: read the ratios.
import { workersAnswer } from './kit/answers.js'
import { barrage } from './kit/barrage.js'
import { ratio, spread } from './kit/figures.js'
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
    withService(target, WORKERS, async ({ port }) => {
      await workersAnswer(port, WORKERS)
      // The first half warms up the compiler of the workers.
      await barrage({ port, connections: CONNECTIONS, ms: ms / 2 })
      return barrage({ port, connections: CONNECTIONS, ms })
    }),
})
const base = results.get(raw) ?? []
printTable(
  ['target', 'answers a second', 'ratio to raw'],
  [...results].map(([{ name }, rates]) => [name, spread(rates), ratio(rates, base)]),
)
