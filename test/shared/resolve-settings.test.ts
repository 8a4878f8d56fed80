import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveSettings, type SettingsSources } from '../../src/shared/resolve-settings.js'
import { uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

const settingsFrom = async (sources: Partial<SettingsSources> & { cwd: string }) =>
  (await resolveSettings({ env: {}, ...sources })).settings

t.test('defaults hold when nobody says anything', async (t) => {
  const cwd = t.testdir({ 'package.json': '{"name":"@acme/api"}', 'app.js': '' })
  t.same(await settingsFrom({ cwd, flags: { script: 'app.js' } }), {
    name: 'api',
    script: join(cwd, 'app.js'),
    args: [],
    workers: 1,
    readiness: 'auto',
    readyTimeout: 30_000,
    minUptime: 1_000,
    restart: { intensity: 10, period: 60_000, onExceeded: 'backoff' },
    stopTimeout: 25_000,
    shutdownDelay: 0,
    onParentExit: 'drain',
    maxSurge: 1,
    connectRate: 20,
    maxMemory: 0,
    maxMemoryHard: 0,
    maxCpu: 0,
    maxCpuPeriod: 30_000,
    maxUptime: 0,
    hangTimeout: 60_000,
    requestGuard: 'warn',
    forkWindowTimeout: 2_000,
    forkGuard: 'warn',
    connectionBudget: {},
    auditInterval: 60_000,
    cwd,
    env: {},
    nodeArgs: [],
    logFormat: 'pretty',
    logLevel: 'info',
    logMaxSize: 10 * 1024 * 1024,
    logMaxFiles: 5,
    secrets: [],
  })
})

t.test('a flag counts before the environment, the environment before the file', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    'supervisor.config.json': JSON.stringify({
      script: 'app.js',
      workers: 2,
      maxSurge: 2,
      stopTimeout: '2s',
    }),
  })
  const env = { FORKSAFE_WORKERS: '3', FORKSAFE_MAX_SURGE: '3' }
  const settings = await settingsFrom({ cwd, env, flags: { workers: '4' } })
  t.match(settings, { workers: 4, maxSurge: 3, stopTimeout: 2_000 })
})

t.test('a call from a program counts before everything and reads no file unless it names one', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    'supervisor.config.json': '{"workers":"broken"}',
    'b.json': '{"maxSurge":3}',
  })
  const options = { script: 'app.js', workers: 2 }
  t.match(await settingsFrom({ cwd, options, searchConfig: false }), { workers: 2, maxSurge: 1 })
  t.match(await settingsFrom({ cwd, options: { ...options, config: 'b.json' }, searchConfig: false }), {
    maxSurge: 3,
  })
  await t.rejects(settingsFrom({ cwd, options: { wrkers: 1 } }), {
    code: 'FORKSAFE_ERR_OPTION_UNKNOWN',
    message: '"wrkers" in supervise(): is not an option; did you mean workers?',
  })
  await t.rejects(settingsFrom({ cwd, options: { script: 'app.js', workers: '2' } }), {
    message: /^workers in supervise\(\): "2"/,
  })
})

t.test('variables for the workers are merged one by one', async (t) => {
  const cwd = t.testdir({ 'app.js': '', 'c.json': '{"script":"app.js","env":{"A":"file","B":"file"}}' })
  t.same((await settingsFrom({ cwd, flags: { config: 'c.json', env: ['A=flag'] } })).env, {
    A: 'flag',
    B: 'file',
  })
})

t.test('errors name the option as its author wrote it', async (t) => {
  const cwd = t.testdir({ 'app.js': '', 'c.json': '{"script":"app.js","workers":"x"}', sub: {} })
  const flags = { script: 'app.js' }
  const code = 'FORKSAFE_ERR_OPTION_INVALID'
  await t.rejects(settingsFrom({ cwd, flags: { ...flags, workers: 'x' } }), {
    code,
    message: /^--workers: "x" /,
  })
  await t.rejects(settingsFrom({ cwd, flags: { ...flags, readyTimeout: '5x' } }), {
    code,
    message: /^--ready-timeout: "5x" /,
  })
  await t.rejects(settingsFrom({ cwd, flags, env: { FORKSAFE_WORKERS: 'x' } }), {
    code,
    message: /^FORKSAFE_WORKERS: "x" /,
  })
  await t.rejects(settingsFrom({ cwd, flags: { config: 'c.json' } }), {
    code,
    message: /^workers in c\.json: "x" /,
  })
  await t.rejects(settingsFrom({ cwd: join(cwd, 'sub'), flags: { config: '../c.json' } }), {
    code,
    message: new RegExp(`^workers in ${cwd}/c\\.json: `),
  })
  await t.rejects(settingsFrom({ cwd, flags: {} }), { code, message: /^script: is missing; write / })
})

t.test('unknown keys of a file are refused with a suggestion', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  const cases: [string, RegExp][] = [
    ['{"worker":2}', /^"worker" in c\.json: is not an option; did you mean workers\?$/],
    ['{"instances":2}', /did you mean workers\?$/],
    ['{"kill_timeout":2}', /did you mean stopTimeout\?$/],
    ['{"ready-timeout":2}', /did you mean readyTimeout\?$/],
    ['{"port":2}', /is not an option; there are script, args, workers/],
    ['{"config":"x"}', /^"config" in c\.json: is not an option/],
    ['{"__proto__":{"workers":2}}', /^"__proto__" in c\.json: is not allowed as a key; remove it$/],
    ['{"constructor":{"prototype":{}}}', /is not allowed as a key/],
    ['{"\\u001b[31m":1}', /^"\\u001b\[31m" in c\.json: is not an option/],
  ]
  for (const [text, message] of cases) {
    writeFileSync(join(cwd, 'c.json'), text)
    await t.rejects(
      settingsFrom({ cwd, flags: { config: 'c.json' } }),
      { code: 'FORKSAFE_ERR_OPTION_UNKNOWN', message },
      text,
    )
  }
  t.same(Object.keys(Object.prototype), [], 'no prototype was touched')
})

t.test('unknown variables of ours are warned about, and empty ones count as not set', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  const env = {
    FORKSAFE_WROKERS: '3',
    FORKSAFE_XYZZY: '1',
    FORKSAFE_HOME: '/x',
    FORKSAFE_WORKERS: '',
    SUPERVISOR_X: '1',
  }
  const { settings, warnings } = await resolveSettings({ cwd, env, flags: { script: 'app.js' } })
  t.equal(settings.workers, 1)
  t.same(warnings, [
    'FORKSAFE_WROKERS: is not a variable of ours and is ignored; did you mean FORKSAFE_WORKERS?',
    'FORKSAFE_XYZZY: is not a variable of ours and is ignored',
  ])
})

t.test('one of several files is used and the others are named', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    'supervisor.config.json': '{}',
    'supervisor.config.mjs': 'export default {script:"app.js"}',
  })
  const { configFile, warnings } = await resolveSettings({ cwd, env: {} })
  t.equal(configFile, join(cwd, 'supervisor.config.mjs'))
  t.same(warnings, [
    'supervisor.config.mjs is used and supervisor.config.json ignored; name one with --config',
  ])
})

t.test('paths are relative to who wrote them', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    conf: { 'c.json': '{"script":"./app.js","cwd":"work"}', 'app.js': '', work: {} },
    work: {},
  })
  t.match(await settingsFrom({ cwd, flags: { config: 'conf/c.json' } }), {
    script: join(cwd, 'conf/app.js'),
    cwd: join(cwd, 'conf/work'),
  })
  t.match(await settingsFrom({ cwd, flags: { config: 'conf/c.json', script: 'app.js', cwd: 'work' } }), {
    script: join(cwd, 'app.js'),
    cwd: join(cwd, 'work'),
  })
})

t.test('a working folder that is none is refused', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  const flags = { script: 'app.js' }
  await t.rejects(settingsFrom({ cwd, flags: { ...flags, cwd: 'none' } }), {
    message: /^--cwd: "none" cannot be used \(ENOENT\)/,
  })
  await t.rejects(settingsFrom({ cwd, flags: { ...flags, cwd: 'app.js' } }), {
    message: /^--cwd: "app\.js" is not a folder$/,
  })
})

t.test('a second reading sees the new file, the new script and where symlinks lead now', async (t) => {
  const cwd = t.testdir({
    v1: { 'app.js': '' },
    v2: { 'app.js': 'const = 1' },
    'c.mjs': 'export default {script:"current/app.js",workers:1}',
  })
  symlinkSync('v1', join(cwd, 'current'))
  const sources = { cwd, flags: { config: 'c.mjs' } }
  t.match(await settingsFrom(sources), { script: join(cwd, 'current/app.js'), workers: 1 })
  writeFileSync(join(cwd, 'c.mjs'), 'export default {script:"next/app.js",workers:2}')
  symlinkSync('v2', join(cwd, 'next'))
  await t.rejects(settingsFrom(sources), {
    code: 'FORKSAFE_ERR_SCRIPT_UNREADABLE',
    message: /next\/app\.js:1: SyntaxError/,
  })
  writeFileSync(join(cwd, 'v2/app.js'), '')
  t.match(await settingsFrom(sources), { script: join(cwd, 'next/app.js'), workers: 2 })
})

t.test('the name stays while it runs', async (t) => {
  const cwd = t.testdir({ 'package.json': '{"name":"new"}', 'app.js': '' })
  const flags = { script: 'app.js' }
  t.equal((await settingsFrom({ cwd, flags, runningName: 'old' })).name, 'old', 'a name that nobody wrote')
  await t.rejects(settingsFrom({ cwd, flags: { ...flags, name: 'new' }, runningName: 'old' }), {
    code: 'FORKSAFE_ERR_OPTION_INVALID',
    message: /^--name: "new" differs from old, which runs/,
  })
})

t.test('no setting is shared between two readings', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  mkdirSync(join(cwd, 'x'))
  const first = await settingsFrom({ cwd, flags: { script: 'app.js' } })
  first.args.push('changed')
  first.env.CHANGED = '1'
  t.match(await settingsFrom({ cwd, flags: { script: 'app.js' } }), { args: [], env: {} })
  t.notOk(Object.hasOwn((await settingsFrom({ cwd, flags: { script: 'app.js' } })).env, 'CHANGED'))
})

t.test('the log file is relative to who named it, and is a file', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    conf: { 'c.json': JSON.stringify({ script: '../app.js', logFile: 'logs/api.log' }) },
  })
  t.equal(
    (await settingsFrom({ cwd, flags: { config: 'conf/c.json' } })).logFile,
    join(cwd, 'conf/logs/api.log'),
  )
  t.equal(
    (await settingsFrom({ cwd, flags: { script: 'app.js', logFile: 'api.log' } })).logFile,
    join(cwd, 'api.log'),
  )
  const refused = (logFile: string) => settingsFrom({ cwd, flags: { script: 'app.js', logFile } })
  await t.rejects(refused('conf'), { message: /^--log-file: "conf" is a folder; name a file$/ })
  await t.rejects(refused('/dev/full'), {
    message: /^--log-file: "\/dev\/full" is no regular file; name a file$/,
  })
})

t.test('secrets of all sources count together, and one that is set nowhere is warned of', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    'supervisor.config.json': JSON.stringify({ script: 'app.js', secrets: ['A', 'B'], env: { A: 'x' } }),
  })
  const { settings, warnings } = await resolveSettings({
    cwd,
    env: { C: 'y' },
    flags: { secrets: ['C', 'A'] },
  })
  t.same(settings.secrets, ['C', 'A', 'B'])
  t.same(warnings, ['secrets: B is set nowhere, so there is no value to keep out of the log'])
})

t.test(
  'limits: 0 takes out what a file sets, and what can be meant by mistake only is refused',
  async (t) => {
    const cwd = t.testdir({
      'app.js': '',
      'supervisor.config.json': JSON.stringify({ script: 'app.js', maxMemory: '400M', maxUptime: '24h' }),
    })
    t.match(await settingsFrom({ cwd }), { maxMemory: 400 * 1024 ** 2, maxUptime: 86_400_000 })
    const flags = { maxMemory: '0', maxUptime: '0', hangTimeout: '0', maxCpu: '0' }
    t.match(await settingsFrom({ cwd, flags }), { maxMemory: 0, maxUptime: 0, hangTimeout: 0, maxCpu: 0 })
    for (const [wrong, message] of [
      [{ maxMemory: '512' }, /^--max-memory: "512" is not a size of at least 16777216 bytes/],
      [{ maxMemoryHard: '400M' }, /^maxMemoryHard: 419430400 is not above maxMemory \(419430400\)/],
      [{ maxCpu: '-1' }, /^--max-cpu: "-1" is not allowed/],
      [{ maxUptime: '10ms' }, /^--max-uptime: "10ms" is out of range/],
      [{ hangTimeout: '1ms' }, /^--hang-timeout: "1ms" is out of range/],
    ] as const)
      await t.rejects(settingsFrom({ cwd, flags: wrong }), { code: 'FORKSAFE_ERR_OPTION_INVALID', message })
  },
)

t.test('under a debugger a loop may stand still for ever, unless somebody says otherwise', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  const hangTimeout = async (sources: Partial<SettingsSources>) =>
    (await settingsFrom({ cwd, ...sources, flags: { script: 'app.js', ...sources.flags } })).hangTimeout
  t.equal(await hangTimeout({}), 60_000)
  t.equal(await hangTimeout({ flags: { nodeArgs: '--inspect=0' } }), 0)
  t.equal(await hangTimeout({ env: { NODE_OPTIONS: '--no-warnings --inspect-brk' } }), 0)
  t.equal(await hangTimeout({ flags: { nodeArgs: '--inspect=0', hangTimeout: '5s' } }), 5_000)
})
