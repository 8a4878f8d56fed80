// The tests in examples/audit, as a user runs them: they pass, and fail with the sockets in their output when one leaks.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const run = async (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stderr: 'inherit' | 'ignore' = 'inherit',
) => {
  const child = spawn(process.execPath, args, {
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', stderr],
    timeout: 60_000,
  })
  const closed = once(child, 'close')
  const output = (await child.stdout.toArray()).join('')
  const [code] = await closed
  return { code, output }
}

const commands: [name: string, args: string[]][] = [
  ['node:test', ['examples/audit/with-node-test.js']],
  ['node --test', ['--test', 'examples/audit/with-node-test.js']],
  ['tap', ['examples/audit/with-tap.js']],
]
for (const [name, args] of commands) {
  t.test(`${name}: what closes its sockets passes`, async (t) => {
    const { code, output } = await run(args)
    t.equal(code, 0, output)
    t.match(output, /ok 1 - says hello/)
    t.match(output, /ok 2 - says it again/)
  })

  t.test(`${name}: what forgets one fails, and is told which`, async (t) => {
    const { code, output } = await run(args, { LEAK: '1' })
    t.equal(code, 1, output)
    t.match(output, /ok 1 - says hello/, 'the test before it passes')
    t.match(output, /not ok 2 - says it again/)
    t.match(output, /sockets left open after 500ms: 2/)
    t.match(output, /fd \d+ of process \d+: tcp 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+,\s+established/)
  })
}

/** What a script has before and after it has used forksafe/audit, and nothing else of the package. */
const PLAIN = `
  import { assertNoLeaks, snapshot } from 'forksafe/audit'
  const state = () => JSON.stringify([
    process.eventNames().map(String).sort(),
    Object.getOwnPropertySymbols(globalThis).map(String).sort(),
  ])
  const before = state()
  await assertNoLeaks(await snapshot({ tree: true }))
  const left = process.getActiveResourcesInfo().filter((name) => /Timeout|FSReq|Immediate|TCP|Pipe/.test(name))
  console.log(before === state() && left.length === 0 ? 'nothing installed' : left + before + ' is now ' + state())`

t.test('a plain script can use it alone: it installs nothing, and the script ends by itself', async (t) => {
  const { code, output } = await run(['--input-type=module', '-e', PLAIN])
  t.equal(output, 'nothing installed\n')
  t.equal(code, 0)
})

t.test('the snippet of docs/tests.md runs, and its links lead somewhere', async (t) => {
  const page = readFileSync('docs/tests.md', 'utf8')
  const [, snippet = ''] = /```js\n(.*?)```/s.exec(page) ?? []
  t.match(snippet, /assertNoLeaks/)
  const { code } = await run(['--input-type=module', '-e', snippet])
  t.equal(code, 0)
  const leak = snippet
    .replace('// …', "(await import('node:net')).createServer().listen(0) // …")
    .replace('2s', '0ms')
  const { code: failed } = await run(['--input-type=module', '-e', leak], {}, 'ignore')
  t.equal(failed, 1, 'and fails when something is left open')
  for (const [, target = ''] of page.matchAll(/\]\(([\w./-]+)(?:#[\w-]+)?\)/g))
    t.ok(existsSync(`docs/${target}`), target)
})
