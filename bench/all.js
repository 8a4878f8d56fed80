// npm run bench, or node bench/all.js [--rounds N]: every measure, one after the other, as docs/performance.md shows them.
// bench/reload.js is not among them: it is a test of endurance.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from './kit/launch.js'

const MEASURES = [
  ...['start', 'throughput', 'restart', 'failures', 'crash', 'memory', 'status', 'leak', 'client'],
  ...['exclusive', 'handoff', 'sharing', 'limits', 'audit', 'request-guard', 'callers', 'relay'],
]
/** It compares the primary with its own past: there are no rounds. */
const WITHOUT_ROUNDS = ['leak']

const args = process.argv.slice(2)
for (const name of MEASURES) {
  const own = WITHOUT_ROUNDS.includes(name) ? args.filter((argument) => argument === '--try') : args
  const child = spawn(process.execPath, [join(ROOT, 'bench', `${name}.js`), ...own], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) process.exitCode = 1
}
