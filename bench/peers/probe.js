// `node --expose-gc --import bench/peers/probe.js`: on SIGWINCH writes what this process holds to the file PROBE_FILE, as
// JSON. For bench/leak.js, in the primary alone: workers do not inherit the primary's node arguments.
import { renameSync, writeFileSync } from 'node:fs'

const file = process.env.PROBE_FILE
delete process.env.PROBE_FILE

if (file !== undefined) {
  process.on('SIGWINCH', () => {
    globalThis.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    writeFileSync(`${file}.new`, JSON.stringify({ heapUsed, rss, timers }))
    renameSync(`${file}.new`, file)
  })
}
