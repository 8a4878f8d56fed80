// A worker of bench/sharing.js: all of them use one exclusive connection, and send through it as they are told over the
// unix socket CONTROL, a JSON line each way. What is measured of the process itself, whoever asks measures from outside.
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { guardedClient } from 'forksafe'

/** Messages that may be without a receipt, and messages between two turns of the event loop: as in bench/clients. */
const MOST_UNPROVED = 8_000
const BATCH = 1_000

const turn = () => new Promise((resolve) => setImmediate(resolve))
const client = guardedClient('bench', { url: process.env.UPSTREAM ?? '', exclusive: true })
let role = 'standby'
client.on('acquired', () => {
  role = 'holder'
})
await client.connect()

const control = connect({ path: process.env.CONTROL ?? '' })
control.on('error', () => {})
control.unref()
const say = (/** @type {object} */ what) => void control.write(`${JSON.stringify(what)}\n`)
say({ pid: process.pid, role })
const orders = createInterface({ input: control })
for await (const line of orders) {
  const { size, count } = JSON.parse(line)
  say(await flood('x'.repeat(size), count))
}

/**
 * As many as it can, until each has its receipt. Whoever has to wait does so without spinning: the processes share the
 * cores.
 *
 * @param {string} text @param {number} count
 */
async function flood(text, count) {
  let unproved = 0
  let failed = 0
  let most = MOST_UNPROVED
  let goOn = () => {}
  const settled = () => {
    if (--unproved < most) goOn()
  }
  const lost = () => {
    failed++
    settled()
  }
  const begun = performance.now()
  for (let sent = 1; sent <= count; sent++) {
    unproved++
    client.send(text).then(settled, lost)
    if (unproved >= most) await new Promise((resolve) => (goOn = () => resolve(undefined)))
    else if (sent % BATCH === 0) await turn()
  }
  most = 1
  if (unproved > 0) await new Promise((resolve) => (goOn = () => resolve(undefined)))
  return { seconds: (performance.now() - begun) / 1_000, failed }
}
