// node bench/memory.js [--rounds 3] [--reloads 10]: memory of primary and workers, from /proc: after the start, and after
// rolling restarts; 2 workers. PSS shares what several processes have in common among them: sums are fair, RSS is not.
import { setTimeout as sleep } from 'node:timers/promises'
import { workersAnswer, workersReplaced } from './kit/answers.js'
import { spread } from './kit/figures.js'
import { memoryOf } from './kit/processes.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

/** @typedef {{ primary: import('./kit/processes.js').Memory, worker: import('./kit/processes.js').Memory }} Sample */

const WORKERS = 2
/** Node gives memory back for a while after it has been busy. */
const SETTLE = isTry ? 0 : 1_500
const { rounds, reloads } = numbersAsked({ rounds: 3, reloads: 10 }, { reloads: 1 })
printTitle('Memory, MiB', rounds)
const results = await measureInRounds({
  rounds,
  // Without the second of patience, which has no part in memory.
  targets: installed([raw, supervisor({ flags: ['--min-uptime', '0'] }), pm2()]),
  measure: (target) =>
    withService(target, WORKERS, async (service) => {
      let pids = await workersAnswer(service.port, WORKERS)
      const idle = await sample(service.primary(), pids)
      for (let number = 1; number <= reloads; number++) {
        const rolled = service.roll()
        pids = await workersReplaced(service.port, pids)
        await rolled
      }
      return { idle, rolled: await sample(service.primary(), pids) }
    }),
})
const rows = []
for (const role of /** @type {const} */ (['primary', 'worker'])) {
  for (const when of /** @type {const} */ (['idle', 'rolled'])) {
    for (const [{ name }, samples] of results) {
      const memories = samples.map((sample) => sample[when][role])
      const shown = /** @type {const} */ (['rss', 'rssAnon', 'pss']).map((field) =>
        spread(
          memories.map((memory) => memory[field]),
          1,
        ),
      )
      rows.push([role, when === 'idle' ? 'after the start' : `after ${reloads} restarts`, name, ...shown])
    }
  }
}
printTable(['process', 'when', 'target', 'RSS', 'RSS not of files', 'PSS'], rows)

/** @param {number} primary @param {ReadonlySet<number>} pids @returns {Promise<Sample>} The worker: the mean of all. */
async function sample(primary, pids) {
  await sleep(SETTLE)
  const workers = [...pids].map(memoryOf)
  const mean = (/** @type {'rss' | 'rssAnon' | 'pss'} */ field) =>
    workers.reduce((sum, memory) => sum + memory[field], 0) / workers.length
  return {
    primary: memoryOf(primary),
    worker: { rss: mean('rss'), rssAnon: mean('rssAnon'), pss: mean('pss') },
  }
}
