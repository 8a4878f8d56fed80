// examples/deploy/feed.service: systemd's own tools have nothing to say against it, its times fit together, and its
// commands do what they shall. A live systemd runs it in under-live-systemd.test.ts.

import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parseDuration } from '../../src/shared/duration.js'
import { askPid } from '../support/ask-pid.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { notifyReceiver, PYTHON } from '../support/notify-receiver.js'
import { startSupervisor } from '../support/supervisor-process.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()
const run = promisify(execFile)

const FILE = 'examples/deploy/feed.service'
const ANALYZE = '/usr/bin/systemd-analyze'
/** What systemd-analyze calls OK is below 5; a unit that can do little is below 3. */
const MOST_EXPOSED = 2.5
const unit = readFileSync(FILE, 'utf8')

/** Values of a setting, in their order. */
const all = (name: string): string[] =>
  [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)
const only = (name: string): string => {
  const values = all(name)
  if (values.length !== 1) throw new Error(`${name} is there ${values.length} times`)
  return values[0] ?? ''
}
const ms = (name: string): number => parseDuration(name, only(name))

t.test('systemd-analyze has nothing to say against it', needsPackage('systemd', ANALYZE), async (t) => {
  const copy = join(t.testdir({}), 'feed.service')
  // Where node is differs; a unit that names a command which is not there is complained of.
  writeFileSync(copy, unit.replaceAll('/usr/bin/node', process.execPath))
  const verified = await run(ANALYZE, ['verify', copy], { timeout: 30_000 })
  t.same([verified.stdout, verified.stderr], ['', ''])
  const { stdout } = await run(
    ANALYZE,
    ['security', '--offline=yes', `--threshold=${MOST_EXPOSED * 10}`, '--no-pager', copy],
    { timeout: 30_000 },
  )
  t.match(stdout, /Overall exposure level/)
  writeFileSync(
    copy,
    unit.replace('NotifyAccess=all', 'NotifyAcess=all').replace('Type=notify', 'Type=notfy'),
  )
  const wrong = await run(ANALYZE, ['verify', copy], { timeout: 30_000 }).catch((error: unknown) => error)
  t.match(wrong, { stderr: /NotifyAcess/ }, 'it would say so')
})

t.test('its times fit together, and what systemd may not do to it is left out', async (t) => {
  const [, stopTimeout] = /--stop-timeout (\S+)/.exec(only('ExecStart')) ?? []
  t.ok(ms('TimeoutStopSec') >= parseDuration('stopTimeout', stopTimeout) + 5_000)
  t.ok(ms('TimeoutStartSec') > 30_000, 'longer than the first extension, which comes at once')
  t.equal(only('RestartPreventExitStatus'), '78')
  t.equal(only('NotifyAccess'), 'all')
  t.same(all('MemoryDenyWriteExecute'), [], 'V8 compiles at run time')
})

t.test('its commands start, roll and stop a service', needsPackage('python3', PYTHON), async (t) => {
  const receiver = await notifyReceiver(t)
  const port = await freePort()
  const folder = t.testdir({ srv: { release: {} } })
  const modules = join(folder, 'srv/release/node_modules')
  mkdirSync(modules)
  symlinkSync(process.cwd(), join(modules, 'forksafe'))
  symlinkSync(join(folder, 'srv/release'), join(folder, 'srv/current'))
  const app = `import '${process.cwd()}/test/process/fixtures/plain-http.js'\n`
  writeFileSync(join(folder, 'srv/release/app.js'), app)
  writeFileSync(join(folder, 'srv/release/package.json'), '{ "type": "module" }')
  const words = (name: string): string[] =>
    only(name)
      .replaceAll('/srv/feed', join(folder, 'srv'))
      .replace('/usr/bin/node', process.execPath)
      .split(' ')
  const environment = Object.fromEntries(all('Environment').map((pair) => pair.split('=')))
  t.equal(environment.FORKSAFE_HOME, `/run/${only('RuntimeDirectory')}`)
  const [executable = '', ...program] = words('ExecStart')
  const supervisor = startSupervisor(t, {
    executable,
    program,
    cwd: join(folder, 'srv'),
    env: {
      NODE_ENV: environment.NODE_ENV,
      NOTIFY_SOCKET: receiver.socket,
      PORT: String(port),
      FORKSAFE_MIN_UPTIME: '100ms',
    },
  })
  const env = { ...environment, FORKSAFE_HOME: supervisor.home }
  await receiver.waitFor(({ variables }) => variables.READY === '1', 'READY')
  const before = await askPid(port)
  const [command = '', ...reload] = words('ExecReload')
  await run(command, reload, { env: cleanEnv(env), cwd: join(folder, 'srv'), timeout: 30_000 })
  t.not(await askPid(port), before)
  writeFileSync(join(folder, 'srv/release/app.js'), 'throw new Error("broken")')
  const failed = run(command, reload, { env: cleanEnv(env), cwd: join(folder, 'srv'), timeout: 30_000 })
  await t.rejects(failed, { code: 5 }, 'systemctl reload fails with it')
  t.ok(await askPid(port))
  supervisor.signalGroup('SIGTERM')
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
  t.same(receiver.turns(), ['READY', 'RELOADING', 'READY', 'RELOADING', 'READY', 'STOPPING'])
})

t.test('docs/systemd.md and the unit agree', async (t) => {
  const page = readFileSync('docs/systemd.md', 'utf8')
  t.match(page, FILE)
  t.match(page, `FORKSAFE_HOME=/run/${only('RuntimeDirectory')}`)
  t.match(page, `WatchdogSec=${only('WatchdogSec')}`)
  t.match(page, /Not under a systemd that has booted a machine/)
})
