// Places in code: the application's own frames first, none of Node's, and no mark left on how stacks are made.

import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { placeIn, readTrace, takeTrace } from '../../src/shared/call-site.js'

/** Code of an application and of a library that it calls, in a folder of its own. */
const world = (folder: string) => {
  const library = join(folder, 'node_modules', 'dial')
  mkdirSync(library, { recursive: true })
  writeFileSync(join(library, 'index.js'), 'exports.dial = (take) => take()\n')
  writeFileSync(
    join(folder, 'app.cjs'),
    `const { dial } = require('dial')
exports.direct = function direct(take) {
  return dial(take)
}
exports.atTop = globalThis.takeAtTop?.()
`,
  )
  return createRequire(join(folder, 'app.cjs'))('./app.cjs')
}

const take = () => takeTrace(take)

t.test('the first frame outside node_modules is the place', async (t) => {
  // This file itself is being loaded until then.
  await new Promise((resolve) => setImmediate(resolve))
  const folder = t.testdir()
  const site = readTrace(world(folder).direct(take), folder)
  t.equal(site.at, 'app.cjs:3:10')
  const [first, second] = site.stack.split('\n')
  t.match(first, /^at \S+ \(node_modules\/dial\/index\.js:1:\d+\)$/)
  t.match(second, /^at \S*direct \(app\.cjs:3:10\)$/)
  t.notMatch(site.stack, 'node:')
  t.match(site, { isModuleLevel: false, isHandler: false })
  t.same(placeIn(world(folder).direct(take), folder), { at: 'app.cjs:3:10', via: 'dial' })
})

t.test('what runs while a module is loaded is at module level', async (t) => {
  Reflect.set(globalThis, 'takeAtTop', take)
  t.teardown(() => Reflect.deleteProperty(globalThis, 'takeAtTop'))
  const folder = t.testdir()
  const trace = world(folder).atTop
  t.match(readTrace(trace, folder), { at: /^app\.cjs:5:\d+$/, isModuleLevel: true })
})

t.test('limit and formatting of stacks are left as they are', async (t) => {
  const limit = Error.stackTraceLimit
  const format = (): string => 'as the application wants it'
  const before = Error.prepareStackTrace
  Error.prepareStackTrace = format
  t.teardown(() => Reflect.set(Error, 'prepareStackTrace', before))
  readTrace(take())
  t.equal(Error.stackTraceLimit, limit)
  t.equal(Error.prepareStackTrace, format)
  t.equal(new Error('x').stack, 'as the application wants it')
})

t.test('without a frame of the application there is no place', async (t) => {
  t.equal(readTrace({}).at, null)
  t.same(placeIn({}), { at: null, via: null })
})
