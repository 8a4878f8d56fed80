// Under a real pm2 7, with the ecosystem file of this repository: online when the workers are ready, rolled by a signal
// without a failed request, stopped with a Close frame on every upstream connection and nothing left.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apps } from '../../ecosystem.config.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { environmentOf, isZombie, killProcesses, markedProcesses } from '../support/process-tree.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { runCli } from '../support/run-cli.js'
import { needsTool, toolCommand } from '../support/tools.js'

uninstrumentChildren()

interface Pm2App {
  name: string
  pid: number
  pm2_env: { status: string; restart_time: number }
}

class Pm2 {
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-pm2-'))
  readonly home = join(this.folder, 'run')
  readonly #mark = this.folder
  readonly env: NodeJS.ProcessEnv

  constructor(t: Test, env: NodeJS.ProcessEnv) {
    this.env = cleanEnv({
      ...env,
      PM2_HOME: join(this.folder, 'pm2'),
      FORKSAFE_HOME: this.home,
      PM2_MARK: this.#mark,
    })
    t.teardown(async () => {
      await this.run('kill')
      const left = this.processes()
      killProcesses(left)
      rmSync(this.folder, { recursive: true, force: true })
      if (left.length > 0) throw new Error(`left behind: ${left.map(({ pid }) => pid).join(', ')}`)
    })
  }

  start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [toolCommand('pm2', 'pm2'), ...args], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async run(...args: string[]): Promise<{ code: number; output: string }> {
    const pm2 = this.start(...args)
    let output = ''
    for (const stream of [pm2.stdout, pm2.stderr]) stream?.on('data', (chunk) => (output += String(chunk)))
    const [code] = (await once(pm2, 'close')) as [number]
    return { code, output }
  }

  async app(name: string): Promise<Pm2App | undefined> {
    const { output } = await this.run('jlist')
    const apps: Pm2App[] = JSON.parse(output.slice(output.indexOf('[')))
    return apps.find((app) => app.name === name)
  }

  /** Everything that runs with this PM2_HOME, the daemon included. */
  processes() {
    return markedProcesses('PM2_MARK', this.#mark).filter((row) => !isZombie(row))
  }

  /** What it wrote; in cluster mode the files carry the number of the instance. */
  log(name: string): string {
    const folder = join(this.folder, 'pm2', 'logs')
    const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.startsWith(`${name}-`)) : []
    return files.map((file) => readFileSync(join(folder, file), 'utf8')).join('')
  }
}

const [ours] = apps

/** The app of our ecosystem file, with some lines changed. */
const ecosystem = (pm2: Pm2, changes: Record<string, unknown>): string => {
  const file = join(pm2.folder, 'ecosystem.config.cjs')
  const app = { ...ours, script: join(process.cwd(), 'bin/supervisor.js'), cwd: process.cwd(), ...changes }
  writeFileSync(file, `module.exports = { apps: [${JSON.stringify(app)}] }`)
  return file
}

t.test(
  'ecosystem.config.js as it stands: online, rolled under load, stopped',
  needsTool('pm2'),
  async (t) => {
    const upstream = await recordingUpstream(t)
    const port = await freePort()
    const pm2 = new Pm2(t, { UPSTREAM: upstream.url, PORT: String(port) })
    const started = await pm2.run('start', 'ecosystem.config.js')
    t.equal(started.code, 0, started.output)
    t.match(await pm2.app('feed'), { pm2_env: { status: 'online', restart_time: 0 } })
    t.equal(upstream.open.length, 2, 'online means that both workers are connected')

    const { workers } = JSON.parse((await runCli(['status', '--json'], { home: pm2.home })).stdout)
    const worker = environmentOf(workers[0].pid)
    t.same(
      worker.filter((line) => /^(pm_|axm_|NODE_APP_INSTANCE=|kill_timeout|wait_ready|exec_mode)/.test(line)),
      ['NODE_APP_INSTANCE=0'],
      'pm2 is not seen by a worker',
    )

    const load = startLoad({ port, path: '/feed', clients: { keepalive: 8, close: 8 } })
    await load.finished(100)
    await pm2.run('sendSignal', 'SIGUSR2', 'feed')
    await upstream.waitFor(
      ({ open }) => open.length === 2 && open.every(({ generation }) => generation === '2'),
    )
    await load.finished(load.result.requests + 100)
    const result = await load.stop()
    t.equal(result.failed, 0, describeLoad(result))

    const members = pm2.processes()
    t.equal((await pm2.run('stop', 'feed')).code, 0)
    await upstream.waitFor(({ connected }) => connected.length === 0)
    t.same(
      upstream.upgraded.map(({ code }) => code),
      [1001, 1001, 1001, 1001],
    )
    await eventually(
      () => pm2.processes().length,
      (left) => left === 1,
      { what: `only the daemon of ${members.length} to be left` },
    )
    t.match(await pm2.app('feed'), { pm2_env: { status: 'stopped', restart_time: 0 } })
  },
)

t.test('it is not online before its workers are ready', needsTool('pm2'), async (t) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-go-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const pm2 = new Pm2(t, { UPSTREAM: upstream.url, PORT: String(port), GO: join(folder, 'go') })
  const file = ecosystem(pm2, {
    name: 'slow',
    args: 'start test/process/fixtures/waits-for-a-file.js --workers 2 --name slow',
  })
  const start = pm2.start('start', file)
  const isOver = once(start, 'close')
  await eventually(
    () => pm2.log('slow'),
    (log) => /worker 1 starting/.test(log),
    { what: 'both workers to be starting', timeout: 20_000 },
  )
  t.match(await pm2.app('slow'), { pm2_env: { status: 'launching' } })
  t.equal(start.exitCode, null, 'pm2 start waits')
  writeFileSync(join(folder, 'go'), '')
  t.same(await isOver, [0, null])
  t.match(await pm2.app('slow'), { pm2_env: { status: 'online' } })
})

t.test('stopped by a SIGINT to the whole tree, which workers hear first', needsTool('pm2'), async (t) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const pm2 = new Pm2(t, { UPSTREAM: upstream.url, PORT: String(port) })
  const file = ecosystem(pm2, {
    name: 'tree',
    args: 'start test/process/fixtures/http-and-feed.js --workers 2 --name tree',
    shutdown_with_message: false,
  })
  t.equal((await pm2.run('start', file)).code, 0)
  t.equal(upstream.open.length, 2)
  t.equal((await pm2.run('stop', 'tree')).code, 0)
  await upstream.waitFor(({ connected }) => connected.length === 0)
  t.same(
    upstream.upgraded.map(({ code }) => code),
    [1001, 1001],
    'no worker was started while it stopped',
  )
  await eventually(
    () => pm2.processes().length,
    (left) => left === 1,
    { what: 'only the daemon to be left' },
  )
})

t.test(
  "in pm2's cluster mode it refuses with the fix, and is not started again and again",
  needsTool('pm2'),
  async (t) => {
    const pm2 = new Pm2(t, { PORT: '0' })
    const file = ecosystem(pm2, {
      name: 'wrong',
      exec_mode: 'cluster',
      instances: 1,
      wait_ready: false,
      listen_timeout: 1_000,
      args: 'start test/process/fixtures/plain-http.js --name wrong',
    })
    await pm2.run('start', file)
    await eventually(
      () => pm2.log('wrong'),
      (log) => /exec_mode: 'fork'/.test(log),
      { what: 'the fix in the log' },
    )
    await eventually(
      () => pm2.app('wrong'),
      (app) => app?.pm2_env.status === 'stopped',
      { what: 'pm2 to leave it stopped' },
    )
    t.equal((await pm2.app('wrong'))?.pm2_env.restart_time, 0)
  },
)
