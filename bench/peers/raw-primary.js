// node bench/peers/raw-primary.js SCRIPT WORKERS: a primary as one writes it by hand with node:cluster, to measure against.
//
// It forks, starts again what exits, and on SIGUSR2 rolls: one new worker after the other, and when it listens the old one
// is disconnected and killed if it is still there after a while. It checks nothing, logs nothing and drains nothing.
import cluster from 'node:cluster'
import { once } from 'node:events'

const KILL_TIMEOUT = 1_600
const [script, count] = process.argv.slice(2)
/** Workers that are on their way out, whose exit starts no other. @type {Set<import('node:cluster').Worker>} */
const retired = new Set()

cluster.setupPrimary({ exec: script, args: [] })
for (let slot = 0; slot < Number(count); slot++) cluster.fork()

// A worker that goes while it is told something must not end the primary.
cluster.on('fork', (worker) => worker.on('error', () => {}))
cluster.on('exit', (worker) => {
  if (!retired.delete(worker)) cluster.fork()
})

let rolling = Promise.resolve()
process.on('SIGUSR2', () => {
  rolling = rolling.then(roll)
})

async function roll() {
  const old = Object.values(cluster.workers ?? {}).filter((worker) => worker && !retired.has(worker))
  for (const worker of old) {
    await once(cluster.fork(), 'listening')
    if (worker) retire(worker)
  }
}

/** @param {import('node:cluster').Worker} worker */
function retire(worker) {
  if (worker.isDead()) return
  retired.add(worker)
  const timer = setTimeout(() => worker.process.kill('SIGKILL'), KILL_TIMEOUT)
  worker.once('exit', () => clearTimeout(timer))
  worker.disconnect()
}
