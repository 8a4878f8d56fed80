// node bench/crash.js [--rounds 9]: from `kill -9` of a worker to the first answer of its replacement; 2 workers, no load.
import { answersUntil, workersAnswer } from './kit/answers.js'
import { median, ratio, spread } from './kit/figures.js'
import { measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 2
const { rounds } = numbersAsked({ rounds: 9 })
printTitle('kill -9 of a worker until its replacement answers', rounds)
const results = await measureInRounds({
  rounds,
  targets: installed([raw, supervisor(), pm2()]),
  measure: (target) => withService(target, WORKERS, killOneAfterTheOther),
})
const base = results.get(raw) ?? []
const rows = [...results].map(([{ name }, times]) => [
  name,
  spread(times),
  ratio(times, base),
  (median(times) - median(base)).toFixed(0),
])
printTable(['target', 'ms', 'ratio to raw', 'ms more than raw'], rows)

/** Each worker once, so that none is in a loop of crashes; the mean of them. @param {import('./kit/service.js').Service & import('./kit/service.js').Place} service */
async function killOneAfterTheOther({ port }) {
  const seen = await workersAnswer(port, WORKERS)
  const times = []
  for (const victim of [...seen]) {
    const begun = performance.now()
    process.kill(victim, 'SIGKILL')
    const pids = await answersUntil(
      port,
      (pids) => [...pids].some((pid) => !seen.has(pid)),
      `the replacement of worker ${victim}`,
    )
    times.push(performance.now() - begun)
    for (const pid of pids) seen.add(pid)
  }
  return times.reduce((sum, time) => sum + time, 0) / times.length
}
