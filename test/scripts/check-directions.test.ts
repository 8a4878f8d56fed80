// The check of import directions, on small trees that break one rule each.
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const checkTree = (folder: string): { code: number | null; output: string } => {
  const script = resolve('scripts/check-directions.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder], {
    encoding: 'utf8',
    env: cleanEnv(),
    timeout: 30_000,
  })
  return { code: status, output: stdout + stderr }
}

/** A tree that keeps every rule, with `changes` put over it; a leaf is the text of a file. */
const tree = (
  changes: Record<string, Record<string, string>> = {},
): Record<string, Record<string, string>> => ({
  shared: { 'errors.ts': 'export const x = 1\n', ...changes.shared },
  client: {
    'ws-connection.ts': `import { WebSocket } from 'ws'\nimport { x } from '../shared/errors.js'\n`,
    ...changes.client,
  },
  worker: { 'runtime.ts': `import '../client/ws-connection.js'\n`, ...changes.worker },
  primary: { 'supervisor.ts': `import cluster from 'node:cluster'\n`, ...changes.primary },
  cli: { 'main.ts': `import '../control/server.js'\n`, ...changes.cli },
  control: { 'server.ts': `import type { S } from '../primary/supervisor.js'\n`, ...changes.control },
  ...(changes.folder ? { extra: changes.folder } : {}),
})

t.test('a tree that keeps every rule passes, and the check says how much it looked at', async (t) => {
  const { code, output } = checkTree(t.testdir({ ...tree(), 'index.ts': `export * from './cli/main.js'\n` }))
  t.equal(code, 0, output)
  t.match(output, /7 files, 5 imports .*all kept/)
})

const breaches: [rule: string, changes: Record<string, Record<string, string>>, told: RegExp][] = [
  [
    'primary imports worker',
    { primary: { 'a.ts': `import { r } from '../worker/runtime.js'\n` } },
    /primary\/a\.ts imports worker\/runtime\.ts: primary\/ may import only lease\//,
  ],
  [
    'worker imports primary, as a type only',
    { worker: { 'a.ts': `import type { S } from '../primary/supervisor.js'\n` } },
    /worker\/a\.ts imports primary\/supervisor\.ts/,
  ],
  [
    'shared imports upwards, by a dynamic import',
    { shared: { 'a.ts': `export const load = () => import('../observe/log.js')\n` } },
    /shared\/a\.ts imports observe\/log\.js: shared\/ may import nothing but itself/,
  ],
  [
    'primary imports control, by a re-export',
    { primary: { 'a.ts': `export * from '../control/server.js'\n` } },
    /primary\/a\.ts imports control\/server\.ts/,
  ],
  [
    'a part imports the root',
    { worker: { 'a.ts': `import '../index.js'\n` } },
    /worker\/a\.ts imports index\.js: files at the root/,
  ],
  [
    'a file outside the sources is imported',
    { cli: { 'a.ts': `import '../../bench/load.js'\n` } },
    /cli\/a\.ts imports \.\.\/bench\/load\.js: outside the sources/,
  ],
  [
    'client imports cluster',
    { client: { 'a.ts': `import cluster from 'cluster'\n` } },
    /client\/a\.ts imports cluster/,
  ],
  [
    'client reaches cluster through shared',
    { shared: { 'errors.ts': `import { isWorker } from 'node:cluster'\n` } },
    /shared\/errors\.ts imports node:cluster: client\/ works in a plain script/,
  ],
  [
    'two files import ws, one of them a type',
    { worker: { 'a.ts': `import type { WebSocket } from 'ws'\n` } },
    /ws is imported by 2 files \(client\/ws-connection\.ts, worker\/a\.ts\)/,
  ],
  [
    'two files import proper-lockfile, one lazily',
    {
      primary: { 'a.ts': `import('proper-lockfile')\n`, 'b.ts': `import lockfile from 'proper-lockfile'\n` },
    },
    /proper-lockfile is imported by 2 files/,
  ],
  [
    'two files of one folder import each other',
    { primary: { 'a.ts': `import './b.js'\n`, 'b.ts': `import './a.js'\n` } },
    /import cycle: primary\/a\.ts -> primary\/b\.ts -> primary\/a\.ts/,
  ],
  [
    'a folder has no direction',
    { folder: { 'a.ts': 'export {}\n' } },
    /extra\/a\.ts: folder extra\/ has no direction/,
  ],
]

for (const [rule, changes, told] of breaches) {
  t.test(`the check fails and says where when ${rule}`, async (t) => {
    const { code, output } = checkTree(t.testdir(tree(changes)))
    t.equal(code, 1)
    t.match(output, told)
    t.match(output, /1 broken/, 'and finds nothing else')
  })
}

t.test('an empty tree is a failure, not a pass', async (t) => {
  t.equal(checkTree(t.testdir({})).code, 1)
})

t.test('the sources of this package keep every rule', async (t) => {
  const { code, output } = checkTree(resolve('src'))
  t.equal(code, 0, output)
})
