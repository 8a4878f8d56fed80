import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { pack } from '../../scripts/pack.mjs'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const run = (file: string): string =>
  execFileSync(process.execPath, [file], { encoding: 'utf8', env: cleanEnv() })

t.test('a packed file does what its modules do, each of them once', async (t) => {
  const dist = t.testdir({
    'entry.js': [
      "import { basename } from 'node:path'",
      "import fs from 'node:fs'",
      "import { count } from './deep/counter.js'",
      "import './deep/other.js'",
      "const { late } = await import('./late.js')",
      "const { default: path } = await import('node:path')",
      'console.log(count, late, basename("/a/b"), typeof fs.readFileSync, typeof path.join)',
      "const url = 'data:text/javascript,console.log(1)'",
      "import('./late.js').then(({ late }) => console.log('again', late)).then(() => import(url))",
    ].join('\n'),
    'late.js': "console.log('late runs')\nexport const late = 'late'\n",
    deep: {
      'counter.js': 'export let count = 0\nexport const add = () => { count += 1 }\n',
      'other.js': "import { add } from './counter.js'\nadd()\nadd()\n",
    },
  })
  pack(dist, 'entry.js', 'packed.cjs')
  t.equal(run(join(dist, 'packed.cjs')), 'late runs\n2 late b function function\nagain late\n1\n')
})

t.test('a packed module knows where the module was', async (t) => {
  const dist = t.testdir({
    'entry.js': "import { here } from './deep/here.js'\nconsole.log(here)\n",
    deep: { 'here.js': "export const here = new URL('../x.json', import.meta.url).href\n" },
  })
  pack(dist, 'entry.js', 'packed.cjs')
  t.equal(run(join(dist, 'packed.cjs')), `file://${join(dist, 'x.json')}\n`)
})

t.test('an import that leads nowhere is named', async (t) => {
  const dist = t.testdir({ 'entry.js': "import './none.js'\n" })
  t.throws(() => pack(dist, 'entry.js', 'packed.cjs'), {
    message: 'none.js: does not exist, and is to be packed into packed.cjs',
  })
})

t.test('a module that cannot be packed fails the build', async (t) => {
  const dist = t.testdir({ 'entry.js': 'const exports = 1\nexport const a = exports\n' })
  t.throws(() => pack(dist, 'entry.js', 'packed.cjs'), { name: 'SyntaxError' })
})
