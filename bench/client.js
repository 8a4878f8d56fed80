// node bench/client.js [--rounds 5] [--messages 300000]: the guarded client beside raw `ws`, reconnecting-websocket and
// two ways of knowing that are written by hand. Server and sender are processes of their own, fresh for each figure.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { median, ratio, ratios, spread } from './kit/figures.js'
import { ROOT, undoOnExit } from './kit/launch.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { printTable } from './kit/table.js'

const RECONNECTING = 'tools/apps/node_modules/reconnecting-websocket/package.json'
const { rounds, messages, clients, connects } = numbersAsked(
  { rounds: 5, messages: 300_000, clients: 1_000, connects: 400 },
  { messages: 4_000, clients: 20, connects: 5 },
)
const SIZES = [64, 1_024]
/** The share of `messages` that a sender gets which waits for each answer. */
const LOCKSTEP_SHARE = 1 / 15
/** Samples of memory that are shown. */
const CURVE_POINTS = 20
const LATENCY_MS = isTry ? 100 : 3_000

printTitle('Client: sending, knowing, connecting, memory', rounds)
if (!existsSync(join(ROOT, RECONNECTING)))
  console.log('\nreconnecting-websocket is missing and left out; bring it: npm ci --prefix tools/apps')
const others = existsSync(join(ROOT, RECONNECTING)) && !isTry ? ['reconnecting-websocket'] : []

for (const size of SIZES) await compareRates(size)
await compareLatencies()
await compareConnects()
await compareMemory()
await compareImports()
await watchMillion()

/** @param {number} size */
async function compareRates(size) {
  const targets = ['raw', ...others, 'guarded', 'barrier by hand', 'lockstep by hand']
  const figures = await measureInRounds({
    rounds,
    targets,
    measure: async (name) => {
      const count = name.startsWith('lockstep') ? Math.ceil(messages * LOCKSTEP_SHARE) : messages
      const { seconds, cpu } = await send(name, { measure: 'flood', size, count })
      return { rate: count / seconds, cpu: cpu / count }
    },
  })
  /** @param {string} name @param {'rate' | 'cpu'} field */
  const valuesOf = (name, field) => (figures.get(name) ?? []).map((figure) => figure[field])
  const knows = { raw: 'nothing', 'reconnecting-websocket': 'nothing' }
  printTable(
    [
      `sender, ${size} bytes`,
      'what it knows in the end',
      'messages a second',
      'ratio to raw',
      'ratio to lockstep',
      'CPU us a message',
      'ratio to raw',
    ],
    targets.map((name) => {
      const rates = valuesOf(name, 'rate')
      const cpu = valuesOf(name, 'cpu')
      return [
        name,
        Reflect.get(knows, name) ?? 'each arrived',
        spread(rates),
        ratio(rates, valuesOf('raw', 'rate')),
        ratio(rates, valuesOf('lockstep by hand', 'rate')),
        spread(cpu, 1),
        ratio(cpu, valuesOf('raw', 'cpu')),
      ]
    }),
  )
  console.log('Goals for guarded: >= 0.9 of raw, >= 10 of lockstep.')
}

async function compareLatencies() {
  const targets = ['barrier by hand', 'guarded']
  const figures = await measureInRounds({
    rounds,
    targets,
    measure: (name) => send(name, { measure: 'latency', size: 64, ms: LATENCY_MS }),
  })
  const base = figures.get('barrier by hand') ?? []
  printTable(
    ['receipt, 10 messages each ms', 'p50 ms', 'p99 ms', 'p99: ratio to barrier by hand'],
    targets.map((name) => {
      const values = figures.get(name) ?? []
      const p99 = values.map((value) => value.p99)
      return [
        name,
        spread(
          values.map(({ p50 }) => p50),
          2,
        ),
        spread(p99, 2),
        ratio(
          p99,
          base.map((value) => value.p99),
        ),
      ]
    }),
  )
  console.log('Goal for guarded: p99 <= 1.5 of the barrier by hand.')
}

async function compareConnects() {
  const targets = ['raw', ...others, 'guarded']
  const figures = await measureInRounds({
    rounds,
    targets,
    measure: async (name) => (await send(name, { measure: 'connect', count: connects })).ms,
  })
  const base = figures.get('raw') ?? []
  printTable(
    ['connect to open', 'ms, median of each round', 'ratio to raw'],
    targets.map((name) => [name, spread(figures.get(name) ?? [], 3), ratio(figures.get(name) ?? [], base)]),
  )
  console.log('Goal for guarded: <= 1.1 of raw.')
}

async function compareMemory() {
  const targets = ['raw', ...others, 'guarded']
  const figures = await measureInRounds({
    rounds: Math.min(rounds, 3),
    targets,
    measure: (name) => send(name, { measure: 'idle', count: clients }),
  })
  const base = median((figures.get('raw') ?? []).map(({ rss }) => rss))
  printTable(
    [`${clients} idle connections`, 'KB of heap each', 'KB of RSS each', 'RSS over raw'],
    targets.map((name) => {
      const values = figures.get(name) ?? []
      const rss = values.map((value) => value.rss)
      return [
        name,
        spread(
          values.map(({ heap }) => heap),
          1,
        ),
        spread(rss, 1),
        (median(rss) - base).toFixed(1),
      ]
    }),
  )
  console.log('Goal for guarded: <= 20 KB over raw.')
}

async function compareImports() {
  const targets = ['nothing', 'ws', 'forksafe/client']
  const figures = await measureInRounds({
    rounds: rounds * 2,
    targets,
    measure: async (name) => {
      const begun = performance.now()
      const child = fork(join(ROOT, 'bench/clients/import.js'), [name], { stdio: 'ignore' })
      await once(child, 'exit')
      return performance.now() - begun
    },
  })
  const ws = figures.get('ws') ?? []
  printTable(
    ['a process that imports', 'ms', 'ratio to ws', 'ms over ws'],
    targets.map((name) => {
      const values = figures.get(name) ?? []
      const over = median(values.map((value, round) => value - (ws[round] ?? Number.NaN)))
      return [name, spread(values), ratio(values, ws), over.toFixed(0)]
    }),
  )
  console.log('Goal for forksafe/client: <= 40 ms over ws.')
}

/** Memory must not follow the number of messages. */
async function watchMillion() {
  const count = isTry ? messages : 1_000_000
  const { rss } = await send('guarded', { measure: 'million', size: 64, count })
  const thirds = [0, 1, 2, 3].map((nth) => Math.round((rss.length * nth) / 3))
  const parts = [0, 1, 2].map((nth) => rss.slice(thirds[nth], thirds[nth + 1]))
  const most = parts.map((part) => Math.max(...part))
  const [first = []] = parts
  printTable(
    [`${count} messages with receipts`, 'highest RSS in MiB', 'ratio to the first third'],
    most.map((value, index) => [
      ['first third', 'second third', 'last third'][index] ?? '',
      value.toFixed(1),
      median(ratios([value], [Math.max(...first)])).toFixed(2),
    ]),
  )
  console.log('Goal: the last third is not above the first by more than 5 MiB.')
  const each = Math.ceil(rss.length / CURVE_POINTS)
  const curve = rss.filter((/** @type {number} */ _, /** @type {number} */ index) => index % each === 0)
  console.log(`RSS on the way: ${curve.map((/** @type {number} */ value) => value.toFixed(0)).join(' ')}`)
}

/**
 * One figure, by a sender and a server of its own.
 *
 * @param {string} name @param {Record<string, unknown>} what
 * @returns {Promise<any>} What the sender prints: see bench/clients/sender.js.
 */
async function send(name, what) {
  const server = start('server.js', [])
  const [port] = await once(server, 'message')
  const sender = start('sender.js', [name, JSON.stringify({ ...what, port })])
  const [result] = await Promise.race([
    once(sender, 'message'),
    failed(sender, name),
    failed(server, 'the server'),
  ])
  for (const child of [sender, server]) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return result
}

/** @param {string} file @param {string[]} args */
function start(file, args) {
  const child = fork(join(ROOT, 'bench/clients', file), args, { execArgv: ['--expose-gc'] })
  const forget = undoOnExit(() => child.kill('SIGKILL'))
  child.once('exit', forget)
  return child
}

/** @param {import('node:child_process').ChildProcess} child @param {string} name @returns {Promise<never>} */
async function failed(child, name) {
  const [code, signal] = await once(child, 'exit')
  throw new Error(`${name} ended with ${signal ?? code}`)
}
