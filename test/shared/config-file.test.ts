import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findConfigFiles, readConfigFile } from '../../src/shared/config-file.js'
import { withDeadline } from '../support/deadline.js'

const read = (path: string): Promise<Record<string, unknown>> => readConfigFile(path, 'the config')
const failure = async (path: string): Promise<string> => {
  try {
    await read(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'FORKSAFE_ERR_CONFIG_UNREADABLE')
      return error.message
    throw error
  }
  throw new Error(`${path} was read`)
}

t.test('every kind of file is read, and again when it has changed', async (t) => {
  const folder = t.testdir()
  const kinds = {
    'a.json': (n: number) => `\uFEFF{"workers":${n}}`,
    'esm.js': (n: number) => `export default { workers: ${n} }`,
    'commonjs.js': (n: number) => `module.exports = { workers: ${n} }`,
    'b.mjs': (n: number) => `export const other = 1; await 1; export default { workers: ${n} }`,
    'c.cjs': (n: number) => `module.exports = { workers: ${n} }`,
    'd.ts': (n: number) => `enum Count { all = ${n} }; export default { workers: Count.all as number }`,
    'function.mjs': (n: number) => `export default async () => ({ workers: ${n} })`,
    'named.mjs': (n: number) => `export const workers = ${n}`,
    'import.ts': (n: number) => `import { n } from './imported'; export default { workers: n + ${n} - ${n} }`,
  }
  for (const [name, text] of Object.entries(kinds)) {
    for (const n of [1, 2]) {
      writeFileSync(join(folder, 'imported.ts'), `export const n = ${n}`)
      writeFileSync(join(folder, name), text(n))
      t.same({ ...(await read(join(folder, name))) }, { workers: n }, `${name} ${n}`)
    }
  }
})

t.test('a file that is not valid is refused with its line', async (t) => {
  const files: [string, string, RegExp][] = [
    ['a.json', '{"script":"app.js",\n"workers":}', /^the config:2:11: is not valid JSON: Unexpected token/],
    ['a.json', '{"script":"app.js"', /^the config:1:19: is not valid JSON/],
    ['a.json', '', /^the config:1:1: is not valid JSON/],
    ['a.json', "{'a':1}", /^the config:1:2: is not valid JSON/],
    ['a.json', '{"a":"x\ny"}', /^the config:1:8: is not valid JSON/],
    ['a.js', 'export default {\n script "app.js"\n}', /^the config:2:\d+: is not valid: Unexpected token/],
    ['a.ts', 'export default {\n script "app.js"\n}', /^the config:2:\d+: is not valid: Unexpected token/],
    [
      'a.mjs',
      '\nexport default { script: nope }',
      /^the config:2:\d+: threw when it was evaluated: nope is not defined/,
    ],
    ['a.mjs', 'throw 3', /^the config: threw when it was evaluated: 3/],
    ['a.mjs', "import './missing.js'", /^the config: threw when it was evaluated: Cannot find module/],
    [
      'a.mjs',
      'export default async () => { throw new Error("no\\nluck") }',
      /threw when it was evaluated: no$/,
    ],
    ['a.mjs', 'export default 5', /^the config: does not export an object; write/],
    ['a.mjs', 'export default []', /^the config: does not export an object; write/],
    [
      'a.mjs',
      'export default { __proto__: { workers: 2 } }',
      /^the config: does not export an object; write/,
    ],
    ['a.json', '[]', /^the config: does not export an object; write/],
    ['a.json', 'null', /^the config: does not export an object; write/],
  ]
  for (const [name, text, expected] of files) {
    const path = join(t.testdir({ [name]: text }), name)
    t.match(await failure(path), expected, text)
  }
})

t.test('what is no file of moderate size is refused, and nothing hangs', async (t) => {
  const folder = t.testdir({ 'large.js': `// ${'x'.repeat(1024 * 1024)}` })
  t.match(
    await failure(join(folder, 'none.js')),
    /^the config: cannot be read \(ENOENT\); there is no such file$/,
  )
  t.match(await failure(folder), /^the config: is a folder; name the file in it$/)
  t.match(
    await failure(join(folder, 'large.js')),
    /^the config: holds \d+ bytes; a configuration file may hold 1048576$/,
  )
  const fifo = join(folder, 'fifo.js')
  execFileSync('mkfifo', [fifo])
  const text = await withDeadline(failure(fifo), { what: 'the FIFO to be refused' })
  t.match(text, /^the config: is not a regular file$/)
  t.match(await failure('/dev/zero'), /^the config: is not a regular file$/)
})

t.test('files are found in order of preference', async (t) => {
  const folder = t.testdir({
    'supervisor.config.json': '{}',
    'supervisor.config.ts': '',
    'other.config.js': '',
  })
  mkdirSync(join(folder, 'empty'))
  t.same(findConfigFiles(folder), [
    join(folder, 'supervisor.config.ts'),
    join(folder, 'supervisor.config.json'),
  ])
  t.same(findConfigFiles(join(folder, 'empty')), [])
})
