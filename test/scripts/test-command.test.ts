// The test command: its last line is the counts, and its exit code tells what they mean.

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

/** Runs the test command in a small project of its own with these test files. */
const runTests = (t: Test, files: Record<string, string>): { code: number | null; lines: string[] } => {
  const folder = t.testdir({
    test: files,
    'package.json': '{ "type": "module" }',
    '.taprc': 'include:\n  - test/*.test.js\n',
    node_modules: t.fixture('symlink', resolve('node_modules')),
  })
  const { status, stdout } = spawnSync(
    process.execPath,
    [resolve('scripts/test.mjs'), '--disable-coverage'],
    {
      cwd: folder,
      encoding: 'utf8',
      env: cleanEnv({ CI: 'true' }),
      timeout: 60_000,
    },
  )
  return { code: status, lines: stdout.trimEnd().split('\n') }
}

const PASSES = `import t from 'tap'\nt.pass()\nt.test('needs a tool', { skip: 'missing' }, async () => {})\n`
const FAILS = `import t from 'tap'\nt.pass()\nt.test('inner', async (t) => { t.equal(1, 2, 'two is one') })\n`

t.test('passing tests end with their counts alone on the last line and exit code 0', async (t) => {
  const { code, lines } = runTests(t, { 'a.test.js': PASSES, 'b.test.js': PASSES })
  t.equal(lines.at(-1), '2 passed, 0 failed, 2 skipped')
  t.ok(lines.includes('SKIP test/a.test.js > needs a tool: missing'), lines.join('\n'))
  t.equal(code, 0)
})

t.test('one failed assertion fails the run, and is shown', async (t) => {
  const { code, lines } = runTests(t, { 'a.test.js': PASSES, 'b.test.js': FAILS })
  t.equal(lines.at(-1), '2 passed, 1 failed, 1 skipped')
  t.ok(lines.includes('FAIL test/b.test.js > inner > two is one'), lines.join('\n'))
  t.match(lines.join('\n'), /\+2\n +-1|-2\n +\+1/, 'with what was expected')
  t.notMatch(lines.join('\n'), /FAIL .*a\.test/)
  t.not(code, 0)
})

t.test('a run without a test fails', async (t) => {
  const { code, lines } = runTests(t, {})
  t.equal(lines.at(-1), '0 passed, 0 failed, 0 skipped')
  t.not(code, 0)
})

t.test('a test file that crashes fails the run', async (t) => {
  const { code, lines } = runTests(t, {
    'a.test.js': PASSES,
    'b.test.js': `process.kill(process.pid, 'SIGKILL')\n`,
  })
  t.match(lines.at(-1), /^1 passed, [1-9]\d* failed, 1 skipped$/)
  t.not(code, 0)
})
