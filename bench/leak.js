// node bench/leak.js [--reloads 10] [--samples 1440]: what the primary holds after rolling restarts, and after as many
// requests for its status as a sampler makes in a day at one a minute; 2 workers. Exits 1 when something has grown.
//
// The heap is measured after a garbage collection, so that a trend in it is one. Growth is counted from the second row of
// each part: by then caches are filled and code is compiled.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { workersAnswer, workersReplaced } from './kit/answers.js'
import { openDescriptors } from './kit/processes.js'
import { isTry, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { probeFile, supervisor } from './targets/supervisor.js'

/** @typedef {{ after: string, heap: number, rss: number, descriptors: number, timers: number }} Row MiB, MiB, count, count. */

const WORKERS = 2
/** Rows of the sampling. */
const STEPS = isTry ? 1 : 10
/** ms until exits have been seen and connections are closed. */
const SETTLE = isTry ? 100 : 500
const PROBE_TIMEOUT = 10_000
/** Growth of the heap, in MiB, that is still noise and the bounded memory of the last log lines. */
const HEAP_NOISE = 1
const { reloads, samples } = numbersAsked({ reloads: 10, samples: 1_440 }, { reloads: 1, samples: 10 })

printTitle(`What the primary holds: ${reloads} rolling restarts, then ${samples} requests for its status`, 1)
const target = supervisor({
  flags: ['--min-uptime', '0'],
  nodeArgs: ['--expose-gc', '--import', './bench/peers/probe.js'],
})
await withService(target, WORKERS, async (service) => {
  const { port, folder, roll } = service
  const look = (/** @type {string} */ after) => probe(service.primary(), folder, after)
  let pids = await workersAnswer(port, WORKERS)
  const rolled = [await look('start')]
  for (let number = 1; number <= reloads; number++) {
    const command = roll()
    pids = await workersReplaced(port, pids)
    await command
    rolled.push(await look(`restart ${number}`))
  }
  const sampled = [await look('the last restart')]
  for (let step = 1; step <= STEPS; step++) {
    const until = Math.round((samples * step) / STEPS)
    for (let done = Math.round((samples * (step - 1)) / STEPS); done < until; done++) await askStatus(folder)
    sampled.push(await look(`${until} looks`))
  }
  const rows = [...rolled, growth(rolled), ...sampled, growth(sampled)].map(
    ({ after, heap, rss, descriptors, timers }) => [
      after,
      heap.toFixed(2),
      rss.toFixed(1),
      descriptors,
      timers,
    ],
  )
  printTable(['after', 'heap, MiB', 'RSS, MiB', 'descriptors', 'timers'], rows)
  if ([growth(rolled), growth(sampled)].some(isLeak)) process.exitCode = 1
})
console.log(process.exitCode === 1 ? 'something has grown' : 'nothing has grown')

/** @param {Row[]} rows @returns {Row} From the second to the last. */
function growth(rows) {
  const [first, last] = [rows[1], rows.at(-1)]
  if (first === undefined || last === undefined) throw new Error('nothing was measured')
  return {
    after: '**growth**',
    heap: last.heap - first.heap,
    rss: last.rss - first.rss,
    descriptors: last.descriptors - first.descriptors,
    timers: last.timers - first.timers,
  }
}

/** @param {Row} row */
function isLeak({ heap, descriptors, timers }) {
  return heap > HEAP_NOISE || descriptors > 0 || timers > 0
}

/** @param {number} pid @param {string} folder @param {string} after @returns {Promise<Row>} */
async function probe(pid, folder, after) {
  await sleep(SETTLE)
  const file = probeFile(folder)
  rmSync(file, { force: true })
  const descriptors = openDescriptors(pid)
  process.kill(pid, 'SIGWINCH')
  for (const end = performance.now() + PROBE_TIMEOUT; !existsSync(file); await sleep(5)) {
    if (performance.now() > end) throw new Error(`the primary ${pid} did not write ${file} on SIGWINCH`)
  }
  const { heapUsed, rss, timers } = JSON.parse(readFileSync(file, 'utf8'))
  return { after, heap: heapUsed / 2 ** 20, rss: rss / 2 ** 20, descriptors, timers }
}

/** As `supervisor status` asks, a connection each. @param {string} folder @returns {Promise<void>} */
async function askStatus(folder) {
  const runtime = join(folder, 'run')
  const socket = readdirSync(runtime).find((name) => name.endsWith('.sock'))
  const socketPath = join(runtime, socket ?? 'no socket')
  /** @type {import('node:http').IncomingMessage} */
  const response = await new Promise((resolve, reject) =>
    request({ socketPath, path: '/v1/status', agent: false }, resolve).on('error', reject).end(),
  )
  const body = await text(response)
  if (response.statusCode !== 200) throw new Error(`/v1/status answered ${response.statusCode}: ${body}`)
}
