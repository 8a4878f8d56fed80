// What people get wrong, through the real command: each ends with its exit code and one line that names field, value
// and remedy. Nothing here starts a supervisor.

import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { printable } from '../../src/shared/printable.js'
import { socketFolder } from '../control/socket-folder.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { type CliOptions, runCli } from '../support/run-cli.js'

uninstrumentChildren()

interface Case {
  args: string[]
  code: number
  /** All of stderr after `supervisor: `. */
  says: RegExp
  env?: NodeJS.ProcessEnv
  home?: string
}

const refuses = async (t: Test, cwd: string, home: string, cases: readonly Case[]): Promise<void> => {
  const queue = [...cases]
  const runNext = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const options: CliOptions = { home: next.home ?? home, cwd, env: { PWD: cwd, ...next.env } }
      const { code, stderr, stdout } = await runCli(next.args, options)
      const title = printable(`${next.args.join(' ')} ${JSON.stringify(next.env ?? {})}`)
      t.equal(code, next.code, title)
      t.match(stderr, new RegExp(`^supervisor: ${next.says.source}\\n$`), title)
      t.equal(stderr.split('\n').length, 2, `one line: ${title}`)
      t.equal(stdout, '', title)
    }
  }
  await Promise.all([runNext(), runNext()])
}

/** Its pid may be used again, but not at once. */
const goneProcess = (): number => spawnSync(process.execPath, ['--version']).pid

const start = (...args: string[]): string[] => ['start', 'app.js', ...args]

t.test('start refuses flags, variables and names that are not allowed', async (t) => {
  const cwd = t.testdir({ 'app.js': '' })
  const workers = (value: string): RegExp =>
    new RegExp(
      `--workers: "${value}" is not a number of workers; use a whole number from 1 to 1024, or max for one per CPU`,
    )
  const name = (shown: string): RegExp =>
    new RegExp(`--name: "${shown}" is not a name; use 1 to 64 letters, .*`)
  await refuses(t, cwd, socketFolder(t), [
    {
      args: start('-i', '0'),
      code: 78,
      says: /--workers: "0" would start no worker; use max for one per CPU/,
    },
    { args: start('--workers', '-1'), code: 78, says: workers('-1') },
    { args: start('-i', '1.5'), code: 78, says: workers('1.5') },
    { args: start('-i', 'many'), code: 78, says: workers('many') },
    { args: start('-i', '1e9'), code: 78, says: workers('1e9') },
    {
      args: start('-i'),
      code: 78,
      says: /option '-i, --workers <count>' argument missing; .*see 'supervisor start --help'/,
    },
    {
      args: start('--ready-timeout', '5x'),
      code: 78,
      says: /--ready-timeout: "5x" is not a duration; write ms or a unit, .*/,
    },
    { args: start('--ready-timeout', '-1'), code: 78, says: /--ready-timeout: "-1" is not a duration; .*/ },
    {
      args: start('--stop-timeout', '2147483648'),
      code: 78,
      says: /--stop-timeout: "2147483648" is out of range; use .*/,
    },
    {
      args: start('--stop-timeout', 'Infinity'),
      code: 78,
      says: /--stop-timeout: "Infinity" is not a duration; .*/,
    },
    { args: start('--name', 'a/b'), code: 78, says: name('a/b') },
    { args: start('--name', '..'), code: 78, says: name('\\.\\.') },
    { args: start('--name', 'a\nb'), code: 78, says: name('a\\\\nb') },
    { args: start('--name', '\x1b[31mred'), code: 78, says: name('\\\\u001b\\[31mred') },
    { args: start('--name', ''), code: 78, says: name('') },
    {
      args: start('--worker', '2'),
      code: 78,
      says: /unknown option '--worker'; Did you mean --workers\?; arguments of the script go after --; see .*/,
    },
    {
      args: start('extra'),
      code: 78,
      says: /too many arguments for 'start'.*; arguments of the script go after --; see .*/,
    },
    { args: start('--env', 'A'), code: 78, says: /--env: "A" has no value; write KEY=VALUE/ },
    {
      args: start('--readiness', 'soon'),
      code: 78,
      says: /--readiness: "soon" is not one of auto, listening, ready/,
    },
    {
      args: start(),
      env: { FORKSAFE_WORKERS: 'abc' },
      code: 78,
      says: /FORKSAFE_WORKERS: "abc" is not a number of workers; .*/,
    },
    { args: ['start'], code: 78, says: /script: is missing; write 'supervisor start app\.js', or .*/ },
  ])
})

t.test('start refuses scripts and configuration files that cannot be used', async (t) => {
  const cwd = t.testdir({
    'package.json': '{"name":"x"}',
    'app.js': '',
    folder: {},
    'broken.js': 'const a = 1\nconst b = ;\n',
    'broken.config.js': 'export default {\n  script "app.js"\n}',
    'broken.json': '{"script":"app.js",}',
    'unknown.json': '{"script":"app.js","instances":2}',
    'zero.json': '{"script":"app.js","workers":0}',
    'pollute.json': '{"script":"app.js","__proto__":{"workers":2}}',
  })
  execFileSync('mkfifo', [join(cwd, 'fifo.js')])
  const config = (file: string): string[] => ['start', '--config', file]
  await refuses(t, cwd, socketFolder(t), [
    { args: ['start', 'none.js'], code: 78, says: /script: .*\/none\.js does not exist; check the path/ },
    { args: ['start', 'app'], code: 78, says: /script: .*\/app does not exist; did you mean .*\/app\.js\?/ },
    { args: ['start', 'folder'], code: 78, says: /script: .*\/folder is a folder; name the file in it/ },
    { args: ['start', 'fifo.js'], code: 78, says: /script: .*\/fifo\.js is not a regular file/ },
    {
      args: ['start', 'broken.js'],
      code: 78,
      says: /script: .*\/broken\.js:2: SyntaxError: Unexpected token ';'/,
    },
    { args: config('none.js'), code: 78, says: /none\.js: cannot be read \(ENOENT\); there is no such file/ },
    { args: config('folder'), code: 78, says: /folder: is a folder; name the file in it/ },
    { args: config('fifo.js'), code: 78, says: /fifo\.js: is not a regular file/ },
    {
      args: config('broken.config.js'),
      code: 78,
      says: /broken\.config\.js:2:\d+: is not valid: Unexpected token.*/,
    },
    { args: config('broken.json'), code: 78, says: /broken\.json:1:20: is not valid JSON: .*/ },
    {
      args: config('unknown.json'),
      code: 78,
      says: /"instances" in unknown\.json: is not an option; did you mean workers\?/,
    },
    {
      args: config('zero.json'),
      code: 78,
      says: /workers in zero\.json: 0 would start no worker; use max .*/,
    },
    {
      args: config('pollute.json'),
      code: 78,
      says: /"__proto__" in pollute\.json: is not allowed as a key; remove it/,
    },
  ])
})

t.test(
  'a script that this user may not read is named',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const cwd = socketFolder(t)
    chmodSync(cwd, 0o755)
    writeFileSync(join(cwd, 'app.js'), '', { mode: 0o600 })
    const program = `
    process.setgid(65534); process.setuid(65534)
    const { resolveSettings } = await import(process.argv[1])
    await resolveSettings({ env: {}, cwd: process.argv[2], flags: { script: 'app.js' } }).catch((e) => console.log(e.message))`
    const args = [
      '--input-type=module',
      '-e',
      program,
      join(process.cwd(), 'dist/shared/resolve-settings.js'),
      cwd,
    ]
    const text = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 10_000 })
    t.match(text, /^script: .*\/app\.js cannot be read \(EACCES\); give this user the right to read it$/m)
  },
)

t.test('client commands refuse their own mistakes with exit 2', async (t) => {
  await refuses(t, process.cwd(), socketFolder(t), [
    {
      args: ['restrat'],
      code: 2,
      says: /unknown command 'restrat'; Did you mean .*\?; see 'supervisor --help'/,
    },
    {
      args: ['status', '--nmae', 'x'],
      code: 2,
      says: /unknown option '--nmae'; Did you mean --name\?; see 'supervisor status --help'/,
    },
    { args: ['status', 'api'], code: 2, says: /too many arguments for 'status'.*; see .*/ },
    { args: ['status', '--', 'api'], code: 2, says: /status takes nothing after --; see .*/ },
    { args: ['stop', '--name'], code: 2, says: /option '--name <name>' argument missing; see .*/ },
    { args: ['stop', '--name', '--now'], code: 2, says: /--name: "--now" is not a name; .*/ },
    { args: ['reload', '--name', '../x'], code: 2, says: /--name: "\.\.\/x" is not a name; .*/ },
    {
      args: ['status'],
      env: { FORKSAFE_NAME: 'a b' },
      code: 2,
      says: /FORKSAFE_NAME: "a b" is not a name; .*/,
    },
    {
      args: ['logs', '-n', '-1'],
      code: 2,
      says: /--lines: "-1" is not allowed; use a whole number from 0 to 10000/,
    },
    { args: ['logs', '-n', 'abc'], code: 2, says: /--lines: "abc" is not allowed; .*/ },
    ...['0', '65536', 'abc', '', '-1', '1.5'].map((port) => ({
      args: ['audit', '--port', port, '--count'],
      code: 2,
      says: new RegExp(`--port: "${port}" is not allowed; use a whole number from 1 to 65535`),
    })),
    ...[['--count'], ['--port', '80']].map((flags) => ({
      args: ['audit', ...flags],
      code: 2,
      says: /--port and --count go together: --port 8080 --count/,
    })),
    ...['0', 'abc', '4194305'].map((pid) => ({
      args: ['audit', '--pid', pid],
      code: 2,
      says: /--pid: ".*" is not allowed; use a whole number from 1 to 4194304/,
    })),
    {
      args: ['audit', '--pid', String(goneProcess())],
      code: 2,
      says: /--pid: "\d+" is no process that runs/,
    },
    {
      args: ['audit', '--pid', '1', '--name', 'api'],
      code: 2,
      says: /--pid and --name exclude each other: .*/,
    },
  ])
})

t.test('runtime folders that others could use are refused by every command', async (t) => {
  const at = socketFolder(t)
  const cwd = t.testdir({ 'app.js': '' })
  const folder = (name: string, mode = 0o700): string => {
    mkdirSync(join(at, name))
    chmodSync(join(at, name), mode)
    return join(at, name)
  }
  const open = folder('open', 0o777)
  symlinkSync('open', join(at, 'link'))
  const long = folder('x'.repeat(110))
  const cases: Omit<Case, 'args' | 'code'>[] = [
    { home: open, says: /runtime folder .*\/open: is open to others \(mode 0777\); run chmod 700 .*/ },
    {
      home: join(at, 'link'),
      says: /runtime folder .*\/link: is a symlink; set FORKSAFE_HOME to the folder .*/,
    },
    {
      home: 'relative',
      says: /FORKSAFE_HOME: "relative" is not an absolute path; write one that begins with \//,
    },
    { home: '/proc/forksafe-test', says: /runtime folder \/proc\/forksafe-test: .*/ },
  ]
  if (process.getuid?.() === 0) {
    chownSync(folder('theirs'), 65_534, 65_534)
    cases.push({
      home: join(at, 'theirs'),
      says: /runtime folder .*\/theirs: belongs to user 65534 and this is user 0; .*/,
    })
  }
  const named = ['--name', 'api']
  const tooLong =
    /runtime folder .*: .*\/api\.sock is \d+ bytes long and a socket's path may be \d+; set FORKSAFE_HOME to a shorter folder/
  await refuses(t, cwd, at, [
    ...cases.map((one) => ({ ...one, args: start(...named), code: 78 })),
    ...cases.slice(0, 3).map((one) => ({ ...one, args: ['status', ...named], code: 2 })),
    { home: long, args: start(...named), code: 78, says: tooLong },
    { home: long, args: ['status', ...named], code: 2, says: tooLong },
  ])
})

t.test('a control socket path that is taken by something else is left alone', async (t) => {
  const home = socketFolder(t)
  const cwd = t.testdir({ 'app.js': '' })
  writeFileSync(join(home, 'file.sock'), 'precious')
  symlinkSync('file.sock', join(home, 'link.sock'))
  await refuses(t, cwd, home, [
    {
      args: start('--name', 'file'),
      code: 78,
      says: /control socket .*\/file\.sock: is a file and not a socket; remove it and start again/,
    },
    {
      args: start('--name', 'link'),
      code: 78,
      says: /control socket .*\/link\.sock: is a symlink; remove it and start again/,
    },
  ])
})

t.test('without a supervisor every client command ends with 3, in under a second', async (t) => {
  const home = socketFolder(t)
  for (const args of [['status'], ['reload'], ['stop'], ['logs'], ['audit'], ['status', '--name', 'api']]) {
    const { code, stderr } = await runCli(args, { home })
    t.equal(code, 3, args.join(' '))
    t.match(
      stderr,
      /^supervisor: no supervisor (named api )?is running .*; start (one with|it with) 'supervisor start.*'\n$/,
    )
  }
})

t.test('with --json a failure is also an object on stdout', async (t) => {
  const home = socketFolder(t)
  const cases: [string[], string][] = [
    [['status', '--json'], 'FORKSAFE_ERR_NOT_RUNNING'],
    [['stop', '--json', '--name', 'a b'], 'FORKSAFE_ERR_OPTION_INVALID'],
    [['status', '--json', '--nope'], 'FORKSAFE_ERR_OPTION_UNKNOWN'],
    [['start', '--json', 'none.js'], 'FORKSAFE_ERR_SCRIPT_UNREADABLE'],
  ]
  for (const [args, code] of cases) {
    const { stdout, stderr } = await runCli(args, { home })
    const { error } = JSON.parse(stdout)
    t.equal(error.code, code, args.join(' '))
    t.equal(stderr, `supervisor: ${error.message}\n`)
  }
})

t.test('a stack is shown only when it is asked for', async (t) => {
  const { stderr } = await runCli(['status'], { home: socketFolder(t), env: { FORKSAFE_DEBUG: '1' } })
  t.match(stderr, /^supervisor: .*\nForksafeError: .*\n {4}at /)
})

t.test(
  'help and version go to stdout with 0, a command line without a command to stderr with 2',
  async (t) => {
    const home = socketFolder(t)
    const help = await runCli(['--help'], { home })
    t.match(help, { code: 0, stderr: '' })
    for (const word of ['start', 'reload', 'stop', 'status', 'logs', 'Exit codes:', 'Examples:'])
      t.match(help.stdout, word)
    const start = await runCli(['start', '--help'], { home })
    t.match(start, { code: 0, stderr: '' })
    for (const word of [
      '-i, --workers <count>',
      '--ready-timeout <time>',
      '(default: 30s)',
      'SIGUSR2',
      'FORKSAFE_',
    ]) {
      t.match(start.stdout, word)
    }
    t.match(await runCli(['help', 'stop'], { home }), { code: 0, stdout: /--now/ })
    t.match(await runCli(['--version'], { home }), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
    t.match(await runCli([], { home }), { code: 2, stdout: '', stderr: /Usage: supervisor/ })
  },
)
