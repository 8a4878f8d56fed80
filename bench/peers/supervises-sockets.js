// node supervises-sockets.js SOCKETS WORKERS: a primary whose workers hold so many sockets each (holds-sockets.js). Over
// its channel it says 'ready' when they do. Asked `begin` it watches its event loop, asked `end` it answers with the worst
// delay in ms; asked `reload` it rolls, and answers with how long each look after a fork took, in ms. It ends with its
// channel.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { supervise } from 'forksafe'

const [sockets = '', workers = ''] = process.argv.slice(2)
const supervisor = await supervise({
  script: fileURLToPath(new URL('holds-sockets.js', import.meta.url)),
  args: [sockets],
  name: 'holds-sockets',
  workers: Number(workers),
  readiness: 'ready',
  minUptime: 0,
  // The looks of the fork audit are told at this level, as objects, on stdout.
  logLevel: 'debug',
  logFormat: 'json',
})
const delays = monitorEventLoopDelay({ resolution: 1 })
process.on('message', async (asked) => {
  if (asked === 'begin') {
    delays.reset()
    delays.enable()
    process.send?.('begun')
  }
  if (asked === 'end') {
    delays.disable()
    process.send?.(delays.max / 1e6)
  }
  if (asked === 'reload') process.send?.(await supervisor.reload())
})
process.once('disconnect', () => void supervisor.stop())
process.send?.('ready')
