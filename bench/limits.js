// node bench/limits.js [--rounds 3] [--seconds 30]: what it costs the primary to watch 8 workers: none watched, hangs alone
// (the default), and every limit, sampled each 5 s; CPU of the primary from /proc, in percent of one core. And how far the
// memory that the status tells of is from what /proc says.
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { workersAnswer } from './kit/answers.js'
import { spread } from './kit/figures.js'
import { cpuOf } from './kit/processes.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { supervisor } from './targets/supervisor.js'

/** @typedef {{ percent: number, apart: number }} Sample Of one core; the worst of all workers, in percent of /proc's figure. */

const WORKERS = isTry ? 2 : 8
/** ms until what the start has left to do is done. */
const SETTLE = isTry ? 100 : 3_000
const { rounds, seconds } = numbersAsked({ rounds: 3, seconds: 30 }, { seconds: 1 })
const LIMITS = ['--max-memory', '4G', '--max-memory-hard', '8G', '--max-cpu', '1000', '--max-uptime', '24h']

printTitle(`Watching ${WORKERS} workers for ${seconds} s`, rounds)
const results = await measureInRounds({
  rounds,
  targets: [
    supervisor({ name: 'nothing watched', flags: ['--hang-timeout', '0'] }),
    supervisor({ name: 'hangs (the default)' }),
    supervisor({ name: 'all limits', flags: LIMITS }),
  ],
  measure: (target) =>
    withService(target, WORKERS, async ({ port, folder, primary }) => {
      await workersAnswer(port, WORKERS)
      await sleep(SETTLE)
      const before = cpuOf(primary())
      await sleep(seconds * 1_000)
      const percent = (cpuOf(primary()) - before) / (seconds * 10)
      return { percent, apart: await memoryApart(folder) }
    }),
})
printTable(
  ['target', 'CPU of the primary, %', 'memory apart from /proc, %'],
  [...results].map(([{ name }, samples]) => [
    name,
    spread(
      samples.map(({ percent }) => percent),
      3,
    ),
    spread(
      samples.map(({ apart }) => apart),
      2,
    ),
  ]),
)

/** @param {string} folder @returns {Promise<number>} */
async function memoryApart(folder) {
  /** @type {{ workers: { pid: number, rssBytes: number }[] }} */
  const { workers } = JSON.parse(await status(folder))
  const differences = workers.map(({ pid, rssBytes }) => {
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
    return (Math.abs(rssBytes / 1024 - kib) / kib) * 100
  })
  return Math.max(...differences)
}

/** Asked on the socket: a command would take the CPU that is measured elsewhere. @param {string} folder @returns {Promise<string>} */
function status(folder) {
  const socketPath = join(folder, 'run', 'forksafe.sock')
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/v1/status' }, (response) => resolve(text(response)))
      .on('error', reject)
      .end()
  })
}
