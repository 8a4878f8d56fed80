// That every measure runs and prints its table. What it prints is no matter of a test: docs/performance.md.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const bench = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const child = spawn(process.execPath, args, {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 200_000,
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code, stdout, stderr }
}

t.test('every measure prints a table of raw and supervisor', async (t) => {
  const { code, stdout, stderr } = await bench('bench/all.js', '--try')
  t.equal(stderr, '')
  t.equal(code, 0)
  const measures = stdout.split(/^## /m).slice(1)
  t.equal(measures.length, 18)
  for (const measure of measures) {
    const [title = ''] = measure.split('\n')
    const tables = measure.split('\n\n').filter((block) => block.trim().startsWith('|'))
    t.ok(tables.length > 0, title)
    for (const table of tables) {
      const [head = '', rule = '', ...rows] = table.trim().split('\n')
      t.match(rule, /^\|( -{3,} \|)+$/, title)
      t.ok(rows.length >= 2, `${title}: rows`)
      for (const row of rows) t.equal(row.split('|').length, head.split('|').length, `${title}: ${row}`)
    }
    t.notMatch(measure, /NaN|undefined|Infinity/, title)
  }
})

t.test('a number that is none is refused', async (t) => {
  const { code, stdout, stderr } = await bench('bench/start.js', '--rounds', 'many')
  t.equal(code, 2)
  t.equal(stdout, '')
  t.equal(stderr, '--rounds: "many" is not allowed; use a whole number from 1 to 10000000\n')
})
