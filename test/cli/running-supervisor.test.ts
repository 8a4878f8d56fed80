// The client commands, through the real command line, against a process that answers as a supervisor does.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { socketFolder } from '../control/socket-folder.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { CLI, runCli } from '../support/run-cli.js'

uninstrumentChildren()

const fake = async (t: Test, home: string, name: string, mode = ''): Promise<ChildProcess> => {
  const child = spawn(
    process.execPath,
    ['test/control/fixtures/fake-supervisor.js', join(home, `${name}.sock`), mode],
    {
      env: cleanEnv(),
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const listening = new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()))
  await withDeadline(listening, { what: 'the fake supervisor to listen' })
  return child
}

t.test('status shows a supervisor, for people and for programs', async (t) => {
  const home = socketFolder(t)
  const { pid } = await fake(t, home, 'api')
  const people = await runCli(['status'], { home })
  t.match(people, { code: 0, stderr: '' })
  t.match(
    people.stdout,
    new RegExp(`^api {2}running {2}generation 1 {2}pid ${pid} {2}up \\ds {2}/srv/app\\.js\n`),
  )
  const programs = await runCli(['status', '--json'], { home })
  t.match(JSON.parse(programs.stdout), { name: 'api', pid, state: 'running', generation: 1, workers: [] })
})

t.test('logs are shown with their writer and without control characters', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  t.match(await runCli(['logs'], { home }), { code: 0, stdout: '[0:101 g2] hello \\x1b[31mred\n' })
  const { stdout } = await runCli(['logs', '--json'], { home })
  t.match(JSON.parse(stdout), {
    level: 'info',
    time: '1970-01-01T00:00:00.001Z',
    name: 'api',
    source: 'worker',
    slot: 0,
    pid: 101,
    msg: 'hello \x1b[31mred',
  })
})

t.test('the level of the log is shown and changed', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  t.match(await runCli(['log-level'], { home }), { code: 0, stdout: 'info\n' })
  t.match(await runCli(['log-level', 'debug', '--json'], { home }), {
    code: 0,
    stdout: '{"level":"debug"}\n',
  })
  t.match(await runCli(['log-level'], { home }), { code: 0, stdout: 'debug\n' })
  const refused = await runCli(['log-level', 'loud'], { home })
  t.match(refused, { code: 2, stderr: 'supervisor: level: "loud" is not one of debug, info, warn, error\n' })
})

t.test('reload shows a line an event and ends with what came of it', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  const { code, stdout } = await runCli(['reload'], { home })
  t.equal(code, 0)
  t.same(stdout.split('\n'), [
    'rolling restart of 1 worker to generation 2',
    'worker 0  starting  pid 101  generation 2',
    '1 worker runs generation 2',
    '',
  ])
})

t.test('reload that was rolled back exits 5 and names worker and reason', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api', 'reload-fails')
  const people = await runCli(['reload'], { home })
  t.match(people, { code: 5, stderr: 'supervisor: rolled back\n  worker 0  pid 101  not ready within 1s\n' })
  const programs = await runCli(['reload', '--json'], { home })
  t.equal(programs.code, 5)
  const last = programs.stdout.trim().split('\n').at(-1) ?? ''
  t.match(JSON.parse(last), { event: 'result', ok: false, exitCode: 5, failures: [{ slot: 0 }] })
})

t.test('stop ends when the process is gone', async (t) => {
  const home = socketFolder(t)
  const child = await fake(t, home, 'api')
  const exited = new Promise((resolve) => child.on('exit', resolve))
  t.match(await runCli(['stop'], { home }), { code: 0, stdout: 'stopping within 1s\nstopped\n' })
  await withDeadline(exited, { what: 'the exit to be seen' })
  t.notOk(existsSync(join(home, 'api.sock')))
})

t.test('several supervisors have to be told apart', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  await fake(t, home, 'web')
  const { code, stderr } = await runCli(['status'], { home })
  t.equal(code, 2)
  t.equal(stderr, 'supervisor: 2 supervisors are running: api, web; name one with --name\n')
  t.match(await runCli(['status', '--name', 'web'], { home }), { code: 0, stdout: /^web / })
  t.match(await runCli(['status'], { home, env: { FORKSAFE_NAME: 'api' } }), { code: 0, stdout: /^api / })
})

t.test('a stopped supervisor is given up with 4, within its bound', async (t) => {
  const home = socketFolder(t)
  const child = await fake(t, home, 'api')
  let said = ''
  child.stdout?.on('data', (piece) => {
    said += piece
  })
  child.kill('SIGSTOP')
  const commands = [['status'], ['stop', '--now'], ['reload']]
  const given = await Promise.all(commands.map((args) => runCli(args, { home })))
  for (const { code, stderr } of given) {
    t.equal(code, 4)
    t.match(
      stderr,
      /^supervisor: supervisor api did not answer within 5s on .*; it may be stopped or overloaded\n$/,
    )
  }
  child.kill('SIGCONT')
  t.match(await runCli(['status'], { home }), { code: 0 }, 'it is not stopped later')
  t.notMatch(said, /reload asked/, 'it is not rolled later')
})

t.test('a reader that is gone ends the command quietly', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  for (const args of ['status', 'status --json', 'reload', 'logs', 'logs -f', '--help']) {
    const { code, stderr } = await withClosedStdout(args.split(' '), home)
    t.equal(stderr, '', args)
    t.equal(code, 0, args)
  }
})

/** Runs a command whose stdout nobody reads any more: the other end is closed before the command can write. */
const withClosedStdout = async (
  args: string[],
  home: string,
): Promise<{ code: number | null; stderr: string }> => {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: cleanEnv({ FORKSAFE_HOME: home, NO_COLOR: '1' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const what = `supervisor ${args.join(' ')} to end`
  return { code: await withDeadline(ended, { what, last: () => stderr }), stderr }
}

t.test('restart and scale show what happens; scale takes a number, more or fewer', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api')
  const restarted = await runCli(['restart'], { home })
  t.match(restarted, { code: 0, stderr: '' })
  t.match(restarted.stdout, /^restart of 1 worker with generation 2\n1 worker restarted .* for 0\.12 s\n$/)
  for (const [workers, to] of [
    ['4', 4],
    ['+3', 5],
    ['-1', 1],
  ] as const) {
    t.match(await runCli(['scale', workers], { home }), {
      code: 0,
      stdout: `scaling from 2 workers to ${to}\nscaled\n`,
    })
  }
  for (const workers of ['0', '-0', '1.5', 'many', '1025', '', '1e3']) {
    const { code, stderr } = await runCli(['scale', workers], { home })
    t.equal(code, 2, workers)
    t.match(stderr, /^supervisor: workers: ".*" is not a number of workers; write 1 to 1024, or \+N or -N/)
  }
  t.match(await runCli(['scale'], { home }), { code: 2, stderr: /missing required argument 'workers'/ })
})

t.test('ls lists all, those that do not answer included', async (t) => {
  const home = socketFolder(t)
  t.match(await runCli(['ls'], { home }), { code: 0, stdout: /^no supervisor is running \(looked in / })
  await fake(t, home, 'api')
  const web = await fake(t, home, 'web')
  web.kill('SIGSTOP')
  const { code, stdout } = await runCli(['ls'], { home })
  t.equal(code, 0)
  t.match(
    stdout,
    /^name +state +pid +workers .*\napi +running +\d+ +0\/0 .*\nweb +unanswered .*did not answer within 5s/,
  )
  web.kill('SIGCONT')
  const rows = (await runCli(['ls', '--json'], { home })).stdout.trim().split('\n')
  t.match(
    rows.map((row) => JSON.parse(row)),
    [
      { name: 'api', state: 'running' },
      { name: 'web', state: 'running' },
    ],
  )
})

t.test('another version of the supervisor is named once, and the command still works', async (t) => {
  const home = socketFolder(t)
  await fake(t, home, 'api', 'other-version')
  const { code, stdout, stderr } = await runCli(['stop'], { home })
  t.equal(code, 0)
  t.match(stdout, /stopped/)
  t.match(
    stderr,
    /^supervisor: warning: supervisor api is version 9\.9\.9, this command \d+\.\d+\.\d+; stop and start it to run one version\n$/,
  )
})

t.test('status --watch goes on until the supervisor ends', async (t) => {
  const home = socketFolder(t)
  const child = await fake(t, home, 'api')
  const watching = runCli(['status', '--watch', '--json'], { home })
  // It has looked once when it asks for the second time; it is told by the end of the supervisor that nothing follows.
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (text) => {
      if (String(text).includes('status asked 2')) resolve()
    })
  })
  child.stdin?.end()
  const { code, stdout, stderr } = await watching
  t.equal(code, 3)
  t.ok(stdout.trim().split('\n').length >= 2)
  t.match(JSON.parse(stdout.split('\n')[0] ?? ''), { name: 'api' })
  t.match(stderr, /no supervisor named api is running/)
})
