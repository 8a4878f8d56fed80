import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkScript } from '../../src/shared/script-check.js'
import { uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const context = { field: 'script', nodeArgs: [], nodeOptions: undefined }
const code = 'FORKSAFE_ERR_SCRIPT_UNREADABLE'

t.test('scripts that node can parse are let through', async (t) => {
  const folder = t.testdir({
    'package.json': '{}',
    'plain.js': '#!/usr/bin/env node\nconst a = require("fs"); return',
    'module.js': 'import fs from "node:fs"; await 1; export {}',
    'm.mjs': 'await 1; export {}',
    'c.cjs': 'with ({}) {}; return',
    'no-ending': '?? whatever node makes of it',
    't.ts': 'enum A {}',
    module: { 'package.json': '{"type":"module"}', 'a.js': 'export {}' },
    commonjs: { 'package.json': '{"type":"commonjs"}', 'a.js': 'module.exports = 1; return' },
  })
  const scripts = [
    'plain.js',
    'module.js',
    'm.mjs',
    'c.cjs',
    'no-ending',
    't.ts',
    'module/a.js',
    'commonjs/a.js',
  ]
  for (const script of scripts) await t.resolves(checkScript(join(folder, script), context), script)
})

t.test('syntax errors are found with line and message, whatever kind of module it is', async (t) => {
  const broken = 'const a = 1\nconst b = ;\n'
  const folder = t.testdir({
    'package.json': '{}',
    'plain.js': broken,
    'module.js': `import "node:fs"; ${broken}`,
    'm.mjs': broken,
    'c.cjs': broken,
    module: { 'package.json': '{"type":"module"}', 'a.js': broken },
  })
  for (const script of ['plain.js', 'module.js', 'm.mjs', 'c.cjs', 'module/a.js']) {
    const path = join(folder, script)
    await t.rejects(checkScript(path, context), {
      code,
      message: `script: ${path}:2: SyntaxError: Unexpected token ';'`,
    })
  }
})

t.test('a module that was let through is checked again when its text has changed', async (t) => {
  const path = join(t.testdir({ 'a.mjs': 'export {}' }), 'a.mjs')
  await t.resolves(checkScript(path, context))
  await t.resolves(checkScript(path, context))
  for (let times = 0; times < 2; times++) {
    writeFileSync(path, 'export {')
    await t.rejects(checkScript(path, context), { code })
    writeFileSync(path, 'export {}')
    await t.resolves(checkScript(path, context))
  }
})

t.test('the same text is checked as the kind of module that it is', async (t) => {
  const folder = t.testdir({ 'a.cjs': 'with ({}) {}', 'a.mjs': 'with ({}) {}' })
  await t.resolves(checkScript(join(folder, 'a.cjs'), context))
  await t.rejects(checkScript(join(folder, 'a.mjs'), context), { code })
})

t.test('syntax is left to the worker where a loader may change what the text means', async (t) => {
  const path = join(t.testdir({ 'package.json': '{}', 'a.js': 'const a: number = 1' }), 'a.js')
  await t.rejects(checkScript(path, context), { code })
  await t.resolves(checkScript(path, { ...context, nodeArgs: ['--import', 'tsx'] }))
  await t.resolves(checkScript(path, { ...context, nodeArgs: ['--import=tsx'] }))
  await t.resolves(checkScript(path, { ...context, nodeOptions: '--max-old-space-size=50 -r ts-node' }))
})

t.test('what is no readable file is refused with a remedy', async (t) => {
  const folder = t.testdir({ 'app.js': '' })
  const fifo = join(folder, 'fifo.js')
  execFileSync('mkfifo', [fifo])
  const cases: [string, string][] = [
    [join(folder, 'none.js'), 'does not exist; check the path'],
    [join(folder, 'app'), `does not exist; did you mean ${join(folder, 'app.js')}?`],
    [folder, 'is a folder; name the file in it'],
    [fifo, 'is not a regular file'],
    [join(folder, 'app.js', 'x'), 'cannot be read (ENOTDIR)'],
  ]
  for (const [path, why] of cases) {
    await t.rejects(checkScript(path, context), { code, message: `script: ${path} ${why}` }, why)
  }
})
