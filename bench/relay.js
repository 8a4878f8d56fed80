// node bench/relay.js [--rounds 3] [--ms 5000] [--backlog 1000000]: how many messages of 256 B a relay takes in a second, each
// on disk when it is answered, over 64 kept connections with one request in flight each; and a backlog that was taken while
// the upstream was down, and then goes out: its pace, its order, and the memory of the worker that owns it.
import { join } from 'node:path'
import { median, quantile, spread } from './kit/figures.js'
import { residentOf } from './kit/processes.js'
import { onDisk, runPeer, startCounter, startRelay, syncTime, until } from './kit/relay.js'
import { isTry, numbersAsked, printTitle } from './kit/rounds.js'
import { printTable } from './kit/table.js'

const CONNECTIONS = 64
const SIZE = 256
const EACH = 5_000
const SAMPLE = 100
/** For a backlog to go out. */
const PATIENCE = 600_000
const GOAL = 10_000
const { rounds, ms, backlog } = numbersAsked(
  { rounds: 3, ms: 5_000, backlog: 1_000_000 },
  { ms: 300, backlog: 10_000 },
)

printTitle(`A relay on its disk: messages of ${SIZE} B`, rounds)
await onDisk(async (folder, disk) => {
  await throughput(folder, disk)
  await drain(folder)
})

/** @param {string} folder @param {string} disk */
async function throughput(folder, disk) {
  const upstream = await startCounter()
  const relay = await startRelay({ folder: join(folder, 'throughput'), url: upstream.url })
  /** @type {number[]} */
  const rates = []
  /** @type {number[]} */
  const middles = []
  /** @type {number[]} */
  const lates = []
  /** @type {number[]} */
  const syncs = []
  const publisher = { socketPath: relay.socketPath, connections: CONNECTIONS, size: SIZE }
  let sent = 0
  for (let round = isTry ? 1 : 0; round <= rounds; round++) {
    const { answers, seconds, times } = await runPeer('bench/clients/raw-publisher.js', { ...publisher, ms })
    sent += answers
    await upstream.have(sent)
    syncs.push(syncTime(folder))
    if (round === 0) continue
    rates.push(answers / seconds)
    middles.push(median(times))
    lates.push(quantile(times, 0.99))
  }
  const { accepts, messages } = await upstream.counts()
  await relay.end()
  await upstream.end()
  const rate = median(rates)
  const head = ['', 'measured', 'goal']
  printTable(head, [
    [
      `accepted/s, ${CONNECTIONS} kept connections`,
      spread(rates),
      `>= ${GOAL}: ${isTry ? '-' : rate >= GOAL ? 'met' : 'missed'}`,
    ],
    ['p50, ms', spread(middles, 2), ''],
    ['p99, ms', spread(lates, 2), ''],
    [`fdatasync of ${disk}, p50, ms`, spread(syncs, 2), ''],
    ['messages to one fdatasync, at least', ((rate * median(syncs)) / 1_000).toFixed(1), '> 1'],
    ['accepted and arrived', `${sent} and ${messages}`, 'equal'],
    ['upstream connections', accepts, 1],
  ])
}

/** @param {string} folder */
async function drain(folder) {
  const first = await startCounter()
  const { port, url } = first
  await first.end()
  const flags = ['--max-messages', String(2 * backlog), '--max-bytes', '4G']
  const relay = await startRelay({ folder: join(folder, 'drain'), url, flags })
  const owner = relay.owner()
  const empty = residentOf(owner)
  const task = { socketPath: relay.socketPath, backlog, each: EACH, size: SIZE }
  const filled = await runPeer('bench/clients/raw-publisher.js', task)
  const full = residentOf(owner)
  const upstream = await startCounter({ port })
  /** @type {number[]} */
  const samples = []
  await until(async () => (await upstream.counts()).messages > 0, 'the first message')
  const begun = performance.now()
  const clock = setInterval(() => samples.push(residentOf(owner)), SAMPLE)
  await until(async () => (await upstream.counts()).messages >= backlog, 'the backlog to go out', PATIENCE)
  clearInterval(clock)
  samples.push(residentOf(owner))
  const seconds = (performance.now() - begun) / 1_000
  const { messages, outOfOrder, accepts } = await upstream.counts()
  await relay.end()
  await upstream.end()
  const third = Math.max(1, Math.floor(samples.length / 3))
  const early = median(samples.slice(0, third))
  const late = median(samples.slice(-third))
  printTable(
    ['backlog', 'measured', 'goal'],
    [
      [`${backlog} taken by batches of ${EACH}, messages/s`, Math.round(backlog / filled.seconds), ''],
      ['sent, messages/s', Math.round(backlog / seconds), ''],
      ['arrived, of them out of order', `${messages}, ${outOfOrder}`, `${backlog}, 0`],
      ['upstream connections', accepts, 1],
      ['RSS of the owner: empty, full, MiB', `${empty.toFixed(0)}, ${full.toFixed(0)}`, ''],
      ['RSS while it goes out, first third, MiB', early.toFixed(0), ''],
      ['last third', late.toFixed(0), 'not above the first'],
      ['highest', Math.max(...samples).toFixed(0), ''],
    ],
  )
}
