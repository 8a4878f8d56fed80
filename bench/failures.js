// node bench/failures.js [--rounds 5] [--reloads 3]: requests that fail in a rolling restart, by kind of client; 2 workers.
// The clients (bench/load.js) never retry; a request without an answer after 3 s has failed. bench/reload.js is the longer
// run of ours alone.
import { workersAnswer, workersReplaced } from './kit/answers.js'
import { spread } from './kit/figures.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { startLoad } from './load.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 2
/** Requests that must finish before, between and after restarts. */
const SOME = 200
/** @type {{ name: string, clients: Partial<Record<import('./load.js').LoadKind, number>> }[]} */
const LOADS = [
  { name: 'keep-alive, 20 clients', clients: { keepalive: 20 } },
  { name: 'a connection per request, 20 clients', clients: { close: 20 } },
  { name: '300 ms requests, 50 clients', clients: { slow: 50 } },
  { name: '300 ms requests, keep-alive, 50 clients', clients: { slowReused: 50 } },
]

const { rounds, reloads } = numbersAsked({ rounds: 5, reloads: 3 }, { reloads: 1 })
printTitle(`Failed requests per rolling restart, ${reloads} in each round, under load`, rounds)
const rows = []
for (const { name: load, clients } of isTry ? LOADS.slice(0, 1) : LOADS) {
  const results = await measureInRounds({
    rounds,
    targets: installed([raw, supervisor(), pm2()]),
    measure: (target) => withService(target, WORKERS, (service) => rollUnderLoad(service, clients)),
  })
  for (const [{ name }, all] of results) {
    const failed = all.reduce((sum, result) => sum + result.failed, 0)
    const requests = all.reduce((sum, result) => sum + result.requests, 0)
    const kinds = new Set(all.flatMap(({ byKind }) => Object.keys(byKind)))
    rows.push([
      load,
      name,
      spread(
        all.map((result) => result.failed / reloads),
        1,
      ),
      `${failed} of ${requests}`,
      [...kinds].join(', ') || 'none',
    ])
  }
}
printTable(['load', 'target', 'failed per restart', 'failed of all', 'how'], rows)

/**
 * @param {import('./kit/service.js').Service & import('./kit/service.js').Place} service
 * @param {Partial<Record<import('./load.js').LoadKind, number>>} clients
 */
async function rollUnderLoad({ port, roll }, clients) {
  let old = await workersAnswer(port, WORKERS)
  const load = startLoad({ port, clients })
  for (let number = 1; number <= reloads; number++) {
    await load.finished(load.result.requests + SOME)
    const rolled = roll()
    old = await workersReplaced(port, old)
    await rolled
  }
  await load.finished(load.result.requests + SOME)
  return load.stop()
}
