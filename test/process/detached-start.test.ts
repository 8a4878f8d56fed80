// start --detach: ends when the workers are ready, outlives the session that it was typed in, is asked and stopped from
// elsewhere, and leaves nothing when it fails.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { socketFolder } from '../control/socket-folder.js'
import { askPid } from '../support/ask-pid.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { isZombie, killProcesses, markedProcesses } from '../support/process-tree.js'
import { CLI, runCli } from '../support/run-cli.js'

uninstrumentChildren()

const MARK = 'TEST_TREE_MARK'
const FLAGS = ['--min-uptime', '100ms', '--stop-timeout', '5s', '--detach']

const world = (t: Test) => {
  const mark = randomUUID()
  const home = socketFolder(t)
  const alive = () => markedProcesses(MARK, mark).filter((row) => !isZombie(row))
  t.teardown(() => killProcesses(alive()))
  return { home, env: { [MARK]: mark, FORKSAFE_HOME: home, NO_COLOR: '1' }, alive }
}

const sessionOf = (pid: number): number =>
  Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[3],
  )

t.test('it outlives its terminal, is followed and stopped from elsewhere, and leaves nothing', async (t) => {
  const { home, env, alive } = world(t)
  const port = await freePort()
  const shell = spawn(
    'bash',
    [
      '-c',
      `"$0" "$@"; echo "ended with $?"`,
      process.execPath,
      CLI,
      'start',
      'test/process/fixtures/plain-http.js',
      '-i',
      '2',
      '--name',
      'far',
      ...FLAGS,
    ],
    { env: cleanEnv({ ...env, PORT: String(port) }), stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  )
  let said = ''
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const over = new Promise<void>((resolve) => shell.on('close', () => resolve()))
  await withDeadline(over, {
    what: 'the shell to end, its output included',
    timeout: 30_000,
    last: () => said,
  })
  t.match(said, /2 workers ready: far runs as pid \d+, log .*far\.log\nended with 0\n$/)
  const pid = Number(/pid (\d+), log/.exec(said)?.[1])
  t.not(sessionOf(pid), sessionOf(process.pid))
  t.equal(sessionOf(pid), pid, 'a session of its own')

  const pids = (await runCli(['status', '--json'], { home })).stdout
  t.equal(JSON.parse(pids).pid, pid)
  t.ok(JSON.parse(pids).workers.some((worker: { pid: number }) => worker.pid > 0))
  await askPid(port)
  const follower = spawn(process.execPath, [CLI, 'logs', '-f', '-n', '0'], {
    env: cleanEnv({ FORKSAFE_HOME: home }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => follower.kill('SIGKILL'))
  let followed = ''
  follower.stdout.setEncoding('utf8').on('data', (text: string) => {
    followed += text
  })
  const followerEnded = new Promise((resolve) => follower.on('close', resolve))
  // It is known to follow when it shows what happens now.
  const rolled = async () => {
    await runCli(['scale', '+1'], { home })
    await runCli(['scale', '-1'], { home })
    return followed
  }
  await eventually(rolled, (text) => /scaling from/.test(text), {
    what: 'the follower to show a change',
    timeout: 30_000,
  })
  t.equal((await runCli(['stop'], { home })).code, 0)
  t.equal(await withDeadline(followerEnded, { what: 'the follower to end' }), 0)
  t.match(followed, /stopped in/)
  t.same(alive(), [], 'no process')
  t.same(
    readdirSync(home).filter((name) => /\.(sock|lock)$/.test(name)),
    [],
    'no socket, no lock',
  )
  t.match(readFileSync(join(home, 'logs', 'far.log'), 'utf8'), /worker 1 ready.*stopped in/s)
})

t.test('it says why the workers were not ready, with exit code 5, and leaves nothing running', async (t) => {
  const { home, env, alive } = world(t)
  const result = await runCli(['start', 'test/process/fixtures/throws-at-boot.js', ...FLAGS], { home, env })
  t.equal(result.code, 5)
  t.match(
    result.stderr,
    /^supervisor: not started, nothing is left running: worker 0 exited with code 1 .*\(3 times\)\n$/,
  )
  t.match(result.stdout, /worker 0 {2}died/)
  t.same(alive(), [])
  const late = await runCli(
    ['start', 'test/process/fixtures/never-ready.js', ...FLAGS, '--ready-timeout', '300ms'],
    { home, env },
  )
  t.equal(late.code, 5)
  t.match(
    late.stderr,
    /not started, nothing is left running: (not all workers were ready within 300ms|worker 0 was not ready)/,
  )
  t.same(alive(), [])
})

t.test('mistakes and a name that runs are told as in the foreground', async (t) => {
  const { home, env, alive } = world(t)
  t.match(await runCli(['start', 'nowhere.js', ...FLAGS], { home, env }), {
    code: 78,
    stderr: /nowhere\.js does not exist/,
  })
  t.match(
    await runCli(['start', 'test/process/fixtures/plain-http.js', ...FLAGS], {
      home,
      env: { ...env, pm_id: '0' },
    }),
    {
      code: 78,
      stderr: /--detach: true cannot be used under pm2/,
    },
  )
  const port = String(await freePort())
  const start = () =>
    runCli(['start', 'test/process/fixtures/plain-http.js', '--name', 'one', ...FLAGS], {
      home,
      env: { ...env, PORT: port },
    })
  t.equal((await start()).code, 0)
  const before = alive().length
  t.match(await start(), {
    code: 8,
    stderr: /^supervisor: a supervisor named one is already running \(pid \d+\)/,
  })
  t.equal(alive().length, before)
  t.ok(existsSync(join(home, 'one.sock')), 'the first one is untouched')
  t.equal((await runCli(['stop'], { home })).code, 0)
  t.same(alive(), [])
})
