// node bench/sharing.js [--rounds 5] [--messages 200000] [--many 1000000]: messages with receipts through one exclusive
// connection, of the worker that holds it, of one that stands by, and of four at once (one holds, three stand by).
//
// A message of a standby takes two hops more, to the primary and to the holder, and its receipt the same way back. Here
// all of it shares the cores of one machine: what is measured is also what the hops cost.
import { join } from 'node:path'
import { median, ratio, ratios, spread } from './kit/figures.js'
import { inFolder } from './kit/launch.js'
import { cpuOfAll, residentOf } from './kit/processes.js'
import { isTry, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { startReader } from './kit/upstream.js'
import { takeOrders } from './kit/workers.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 4
const SIZES = [64, 1_024]
const WAYS = ['holder', 'standby', 'all 4']
const SAMPLE_EACH = 20
const SETTLE = isTry ? 0 : 500
const { rounds, messages, many } = numbersAsked(
  { rounds: 5, messages: 200_000, many: 1_000_000 },
  { messages: 4_000, many: 8_000 },
)

/** @typedef {{ rate: number, cpu: { upstream: number, primary: number, holder: number, standby: number } }} Figure */

printTitle('Exclusive connections: messages of standbys', rounds)
await withCluster(async (cluster) => {
  for (const size of SIZES) await compareWays(cluster, size)
  await watchMemory(cluster)
})

/**
 * The same processes for every figure, so that all of them are warm; each way once in a round, in turn.
 *
 * @param {Cluster} cluster @param {number} size
 */
async function compareWays(cluster, size) {
  /** @type {Map<string, Figure[]>} */
  const results = new Map(WAYS.map((way) => [way, []]))
  for (let round = isTry ? 1 : 0; round <= rounds; round++) {
    for (const way of WAYS) {
      const figure = await send(cluster, way, size, messages)
      if (round > 0) results.get(way)?.push(figure)
    }
  }
  const base = (results.get('holder') ?? []).map(({ rate }) => rate)
  printTable(
    [
      `who sends, ${size} bytes`,
      'messages a second',
      "ratio to the holder's own",
      'CPU us a message: upstream',
      'primary',
      'holder',
      'standbys',
    ],
    WAYS.map((way) => {
      const figures = results.get(way) ?? []
      const rates = figures.map(({ rate }) => rate)
      const cpu = (/** @type {keyof Figure['cpu']} */ who) =>
        spread(
          figures.map((figure) => figure.cpu[who]),
          1,
        )
      return [
        way,
        spread(rates),
        ratio(rates, base),
        cpu('upstream'),
        cpu('primary'),
        cpu('holder'),
        cpu('standby'),
      ]
    }),
  )
  console.log("Goal for a standby: >= 0.6 of the holder's own.")
}

/** Memory must follow the windows between the processes, not the number of messages. @param {Cluster} cluster */
async function watchMemory(cluster) {
  /** @type {Record<'primary' | 'holder' | 'standby', number[]>} */
  const curves = { primary: [], holder: [], standby: [] }
  const [standby] = cluster.standbys
  const pids = { primary: cluster.primary, holder: cluster.holder.pid, standby: standby?.pid ?? 0 }
  const look = () => {
    for (const [who, pid] of Object.entries(pids))
      curves[/** @type {keyof typeof curves} */ (who)].push(residentOf(pid))
  }
  look()
  const clock = setInterval(look, SAMPLE_EACH)
  await send(cluster, 'standby', 64, many)
  clearInterval(clock)
  look()
  await new Promise((resolve) => setTimeout(resolve, SETTLE * 4))
  look()
  printTable(
    [
      `RSS in MiB, ${many} messages of a standby`,
      'before',
      'first third',
      'second third',
      'last third',
      'after',
      'last to first third',
    ],
    Object.entries(curves).map(([who, curve]) => {
      const most = [0, 1, 2].map((third) => {
        const bounds = [third, third + 1].map((nth) => Math.floor((nth * curve.length) / 3))
        return Math.max(...curve.slice(...bounds))
      })
      const [first = 0, , last = 0] = most
      const cells = [curve[0] ?? 0, ...most, curve.at(-1) ?? 0].map((value) => value.toFixed(1))
      return [who, ...cells, median(ratios([last], [first])).toFixed(2)]
    }),
  )
  console.log('Goal: the last third is not above the first by more than 10 MiB.')
}

/** @typedef {{ upstream: number, primary: number, holder: import('./kit/workers.js').Worker, standbys: import('./kit/workers.js').Worker[] }} Cluster */

/**
 * @param {Cluster} cluster @param {string} way @param {number} size @param {number} count Of all senders together.
 * @returns {Promise<Figure>}
 */
async function send({ upstream, primary, holder, standbys }, way, size, count) {
  const senders =
    way === 'holder' ? [holder] : way === 'standby' ? standbys.slice(0, 1) : [holder, ...standbys]
  const pids = {
    upstream: [upstream],
    primary: [primary],
    holder: [holder.pid],
    standby: standbys.map(({ pid }) => pid),
  }
  const used = () => Object.values(pids).map(cpuOfAll)
  const before = used()
  const each = Math.ceil(count / senders.length)
  const results = await Promise.all(senders.map(({ tell }) => tell({ size, count: each })))
  const after = used()
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  if (failed > 0) throw new Error(`${failed} of ${count} messages got no receipt`)
  const sent = each * senders.length
  const [up = 0, pri = 0, hol = 0, sta = 0] = after.map((ms, at) => ((ms - (before[at] ?? 0)) / sent) * 1_000)
  const seconds = Math.max(...results.map((result) => result.seconds))
  return { rate: sent / seconds, cpu: { upstream: up, primary: pri, holder: hol, standby: sta } }
}

/** @param {(cluster: Cluster) => Promise<void>} use */
function withCluster(use) {
  return inFolder(async (folder) => {
    const path = join(folder, 'orders')
    const orders = await takeOrders(path)
    const reader = await startReader()
    try {
      const env = { UPSTREAM: `ws://127.0.0.1:${reader.port}/0`, CONTROL: path }
      const target = supervisor({ app: 'bench/peers/sharing-app.js', env, flags: ['--min-uptime', '0'] })
      await withService(target, WORKERS, async (service) => {
        const workers = await orders.arrived(WORKERS)
        const holder = workers.find(({ role }) => role === 'holder')
        if (holder === undefined) throw new Error('no worker holds the connection')
        const standbys = workers.filter((worker) => worker !== holder)
        await use({ upstream: reader.pid, primary: service.primary(), holder, standbys })
      })
    } finally {
      orders.close()
      await reader.end()
    }
  })
}
