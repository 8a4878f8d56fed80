// npm run bench, or node bench/all.js [--rounds N]: every measure, one after the other, as docs/performance.md shows them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from './kit/launch.js'

const MEASURES = ['start', 'throughput', 'restart', 'failures', 'crash', 'memory', 'status', 'leak']
/** It compares the primary with itself: there are no rounds. */
const WITHOUT_ROUNDS = ['leak']

for (const name of MEASURES) {
  const args = WITHOUT_ROUNDS.includes(name) ? [] : process.argv.slice(2)
  const child = spawn(process.execPath, [join(ROOT, 'bench', `${name}.js`), ...args], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) process.exitCode = 1
}
