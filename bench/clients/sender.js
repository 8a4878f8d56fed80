// One measurement by one kind of sender, in a process of its own: `sender.js NAME JSON`. The result goes to the parent.
import { barrier } from './barrier.js'
import { guarded } from './guarded.js'
import { lockstep } from './lockstep.js'
import { raw } from './raw.js'

/**
 * @typedef {object} Connection
 * @property {(text: string) => Promise<unknown> | void} send  A promise where the sender gets to know what became of it.
 * @property {() => boolean} mayGoOn  Whether it takes more, without more than its bound being on the way.
 * @property {Promise<void>} done  The server has read everything.
 * @property {() => Promise<void>} close  Settles when the socket is gone.
 */
/** @typedef {(url: string) => Promise<Connection>} Sender  Settles when the connection is open. */

/** Messages between two turns of the event loop. */
const BATCH = 1_000
/** Messages each ms, where latency is measured. */
const PER_MS = 10

const [, , name = '', json = '{}'] = process.argv
const { measure, port, size = 0, count = 0, ms = 0 } = JSON.parse(json)
const turn = () => new Promise((resolve) => setImmediate(resolve))
const origin = `ws://127.0.0.1:${port}`
const connect = await senderOf(name)
const measures = { flood, latency, connect: connectOften, idle, million }
process.send?.(await /** @type {Record<string, () => Promise<object>>} */ (measures)[measure]?.())

/** @param {string} name @returns {Promise<Sender>} */
async function senderOf(name) {
  if (name === 'reconnecting-websocket') return (await import('./reconnecting.js')).reconnecting
  const senders = { raw, guarded, 'barrier by hand': barrier, 'lockstep by hand': lockstep }
  return /** @type {Record<string, Sender>} */ (senders)[name] ?? raw
}

/** As many as it can, until the server has read the last one and everything is known that will be. */
async function flood(afterBatch = () => {}) {
  const connection = await connect(`${origin}/${count}${name.startsWith('lockstep') ? '/ack' : ''}`)
  const text = 'x'.repeat(size)
  let last = /** @type {Promise<unknown> | void} */ (Promise.resolve())
  const begun = performance.now()
  const cpuBefore = process.cpuUsage()
  for (let sent = 1; sent <= count; sent++) {
    last = connection.send(text)
    while (!connection.mayGoOn()) await turn()
    if (sent % BATCH !== 0) continue
    await turn()
    afterBatch()
  }
  await Promise.all([connection.done, last])
  const { user, system } = process.cpuUsage(cpuBefore)
  return { seconds: (performance.now() - begun) / 1_000, cpu: user + system }
}

async function million() {
  /** MiB. @type {number[]} */
  const rss = []
  await flood(() => rss.push(process.memoryUsage.rss() / 2 ** 20))
  return { rss }
}

async function latency() {
  const connection = await connect(`${origin}/0`)
  const text = 'x'.repeat(size)
  /** @type {number[]} */
  const took = []
  const end = performance.now() + ms
  /** @type {Promise<unknown>[]} */
  const sent = []
  await new Promise((resolve) => {
    const clock = setInterval(() => {
      if (performance.now() >= end) {
        clearInterval(clock)
        return resolve(undefined)
      }
      for (let message = 0; message < PER_MS; message++) {
        const at = performance.now()
        sent.push(Promise.resolve(connection.send(text)).then(() => took.push(performance.now() - at)))
      }
    }, 1)
  })
  await Promise.all(sent)
  took.sort((one, other) => one - other)
  const at = (/** @type {number} */ share) => took[Math.floor(took.length * share)]
  return { p50: at(0.5), p99: at(0.99) }
}

async function connectOften() {
  /** @type {number[]} */
  const took = []
  for (let attempt = 0; attempt < count; attempt++) {
    const begun = performance.now()
    const connection = await connect(`${origin}/0`)
    took.push(performance.now() - begun)
    await connection.close()
  }
  // The first half warms up the compiler.
  const warm = took.slice(Math.floor(took.length / 2)).sort((one, other) => one - other)
  return { ms: warm[Math.floor(warm.length / 2)] }
}

/** KB for each connection that is open and does nothing. */
async function idle() {
  const before = await settled()
  /** @type {Connection[]} */
  const connections = []
  for (let n = 0; n < count; n++) connections.push(await connect(`${origin}/0`))
  const after = await settled()
  const each = (/** @type {number} */ bytes) => bytes / connections.length / 1_024
  return { heap: each(after.heap - before.heap), rss: each(after.rss - before.rss) }
}

async function settled() {
  for (let n = 0; n < 3; n++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    globalThis.gc?.()
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}
