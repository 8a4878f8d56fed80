// node bench/start.js [--rounds 9]: from the command that starts a service to the first answer of its last worker.
import { workersAnswer } from './kit/answers.js'
import { median, ratio, spread } from './kit/figures.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

const { rounds } = numbersAsked({ rounds: 9 })
printTitle('Start: command until every worker has answered', rounds)
const targets = installed([
  raw,
  supervisor(),
  pm2({ name: 'pm2, daemon running', isDaemonRunning: true }),
  pm2({ name: 'pm2, daemon starts too' }),
])
const rows = []
for (const workers of isTry ? [2] : [2, 4]) {
  const results = await measureInRounds({
    rounds,
    targets,
    measure: (target) =>
      withService(target, workers, async ({ port, startedAt }) => {
        await workersAnswer(port, workers)
        return performance.now() - startedAt
      }),
  })
  const base = results.get(raw) ?? []
  for (const [{ name }, times] of results) {
    rows.push([workers, name, spread(times), ratio(times, base), (median(times) - median(base)).toFixed(0)])
  }
}
printTable(['workers', 'target', 'ms', 'ratio to raw', 'ms more than raw'], rows)
