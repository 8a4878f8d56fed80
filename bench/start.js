// node bench/start.js [--rounds 9]: from the command that starts a service to the first answer of its last worker, and the
// CPU time that primary and workers have used until then, which other work on the machine does not touch. (pm2's command
// and what it starts besides the daemon are not in that.)
import { workersAnswer } from './kit/answers.js'
import { median, ratio, spread } from './kit/figures.js'
import { cpuOfAll } from './kit/processes.js'
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
      withService(target, workers, async ({ port, startedAt, primary }) => {
        const pids = await workersAnswer(port, workers)
        const ms = performance.now() - startedAt
        return { ms, cpu: cpuOfAll([primary(), ...pids]) }
      }),
  })
  const base = results.get(raw) ?? []
  for (const [{ name }, figures] of results) {
    const times = figures.map(({ ms }) => ms)
    const rawTimes = base.map(({ ms }) => ms)
    const cpu = figures.map((figure) => figure.cpu)
    const rawCpu = base.map((figure) => figure.cpu)
    rows.push([
      workers,
      name,
      spread(times),
      ratio(times, rawTimes),
      (median(times) - median(rawTimes)).toFixed(0),
      spread(cpu),
      ratio(cpu, rawCpu),
    ])
  }
}
printTable(['workers', 'target', 'ms', 'ratio to raw', 'ms more than raw', 'CPU ms', 'ratio of CPU'], rows)
