import { join } from 'node:path'
import t from 'tap'
import { readEnvFile } from '../../src/shared/env-file.js'
import { resolveSettings } from '../../src/shared/resolve-settings.js'

t.test('lines are read as node --env-file reads them', async (t) => {
  const folder = t.testdir({ '.env': 'A=1\n# no\nB="two words"\nexport C=\'3\'\n\nD=a#b\n' })
  t.match(readEnvFile(join(folder, '.env'), '--env-file', '.env'), { A: '1', B: 'two words', C: '3' })
})

t.test('what cannot be read, or may not be set, is named with field and remedy', async (t) => {
  const folder = t.testdir({
    folder: {},
    '.env': 'SUPERVISOR_SLOT=3\n',
    'big.env': 'A'.repeat(1024 * 1024 + 1),
  })
  for (const [file, message] of [
    ['none.env', /^--env-file: "none\.env" cannot be read \(ENOENT\); there is no such file$/],
    ['folder', /^--env-file: "folder" is not a regular file/],
    ['.env', /^--env-file \.env: "SUPERVISOR_SLOT" is set by the supervisor itself/],
    ['big.env', /holds more than 1048576 bytes$/],
  ] as const) {
    t.throws(() => readEnvFile(join(folder, file), '--env-file', file), {
      code: 'FORKSAFE_ERR_OPTION_INVALID',
      message,
    })
  }
})

t.test(
  'later files count before earlier ones, env before all, paths are relative to their author',
  async (t) => {
    const cwd = t.testdir({
      'app.js': '',
      'one.env': 'A=one\nB=one\nC=one\n',
      'two.env': 'B=two\nC=two\n',
      conf: {
        'c.json': JSON.stringify({
          script: '../app.js',
          envFile: ['../one.env', '../two.env'],
          env: { C: 'env' },
        }),
      },
    })
    const { settings } = await resolveSettings({ env: {}, cwd, flags: { config: 'conf/c.json' } })
    t.same(settings.env, { A: 'one', B: 'two', C: 'env' })
    const flagged = await resolveSettings({
      env: {},
      cwd,
      flags: { config: 'conf/c.json', envFile: ['two.env'] },
    })
    t.same(flagged.settings.env, { B: 'two', C: 'env' }, 'the flag’s files count instead of the file’s')
  },
)
