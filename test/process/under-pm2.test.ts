// Under a real pm2: online when ready, rolled by a signal, stopped in order, refused in cluster mode.

import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apps } from '../../ecosystem.config.js'
import type { SupervisorStatus } from '../../src/shared/status.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { Pm2Home } from '../support/pm2-home.js'
import { environmentOf } from '../support/process-tree.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'
import { runCli } from '../support/run-cli.js'
import { needsTool } from '../support/tools.js'

uninstrumentChildren()

const NAME = 'feed'

/** A pm2 that runs the feed example behind a gate, for one test. */
class Pm2 extends Pm2Home {
  readonly upstream: RecordingUpstream
  readonly port: number
  readonly home: string
  readonly gate: string

  static async start(t: Test): Promise<Pm2> {
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'forksafe-pm2-'))
    const pm2 = new Pm2(folder, await recordingUpstream(t), await freePort())
    t.teardown(async () => {
      await pm2.end()
      if (t.passing()) rmSync(folder, { recursive: true, force: true })
      else console.error(`pm2's folder is kept: ${folder}`)
    })
    return pm2
  }

  private constructor(folder: string, upstream: RecordingUpstream, port: number) {
    const [home, gate] = [join(folder, 'run'), join(folder, 'gate')]
    super({
      folder,
      env: {
        FORKSAFE_HOME: home,
        FORKSAFE_NODE_ARGS: '--import ./test/process/fixtures/waits-for-gate.js',
        GATE: gate,
        UPSTREAM: upstream.url,
        PORT: String(port),
      },
    })
    this.home = home
    this.gate = gate
    this.upstream = upstream
    this.port = port
  }

  /** A pm2 file that differs from ours in the given settings; undefined takes one out. */
  variant(settings: Record<string, unknown>): string {
    return this.file({ ...apps[0], cwd: process.cwd(), ...settings })
  }

  openGate(): void {
    writeFileSync(this.gate, '')
  }

  async status(): Promise<SupervisorStatus | null> {
    const { code, stdout } = await runCli(['status', '--json'], { home: this.home })
    return code === 0 ? JSON.parse(stdout) : null
  }

  waitForStatus(
    isWanted: (status: SupervisorStatus) => boolean,
    what: string,
  ): Promise<SupervisorStatus | null> {
    return eventually(
      () => this.status(),
      (status) => status !== null && isWanted(status),
      { what, timeout: 20_000 },
    )
  }
}

const allReady = ({ state, workers }: SupervisorStatus): boolean =>
  state === 'running' && workers.every((worker) => worker.state === 'ready')

const bothOpen = ({ upstream }: Pm2) =>
  upstream.waitFor(({ open }) => open.length === 2, { what: 'two connections' })

/** What a worker has in its environment beyond what pm2 was started with. */
const OURS = /^(SUPERVISOR_\w+|FORKSAFE_\w+|NODE_APP_INSTANCE|NODE_UNIQUE_ID|NODE_CHANNEL_\w+)$/

t.test('pm2', needsTool('pm2'), async (t) => {
  t.test(
    'is told online only when the workers are ready, rolls without loss and stops in order',
    async (t) => {
      const pm2 = await Pm2.start(t)
      let isStarted = false
      const starting = pm2.run('start', 'ecosystem.config.js').finally(() => {
        isStarted = true
      })
      await pm2.waitForStatus(({ workers }) => workers.length === 2, 'two workers to be starting')
      t.equal((await pm2.row(NAME))?.pm2_env.status, 'launching')
      t.equal(isStarted, false)
      pm2.openGate()
      t.equal((await starting).code, 0)
      t.equal((await pm2.row(NAME))?.pm2_env.status, 'online')
      const before = await pm2.status()
      t.ok(before !== null && allReady(before))
      await bothOpen(pm2)

      const load = startLoad({
        port: pm2.port,
        path: '/feed',
        slowPath: '/feed',
        clients: { keepalive: 5, close: 3, slow: 2, slowReused: 2 },
      })
      t.equal((await pm2.run('sendSignal', 'SIGUSR2', NAME)).code, 0)
      const after = await pm2.waitForStatus(
        (status) => status.generation === 2 && allReady(status),
        'the second generation to run',
      )
      const { code, output } = await pm2.run('trigger', NAME, 'reload')
      t.equal(code, 0)
      t.match(output, /"success":true,"message":"/, 'and waits until it is over')
      const last = await pm2.status()
      t.match(last, { generation: 3, pid: before?.pid ?? 0 })
      const result = await load.stop()
      t.equal(result.failed, 0, describeLoad(result))
      t.ok(result.requests > 100)
      t.equal(after?.pid, before?.pid)

      await bothOpen(pm2)
      t.equal((await pm2.run('stop', NAME)).code, 0)
      t.same(pm2.services(), [])
      t.equal(pm2.upstream.connected.length, 0)
      t.same(
        pm2.upstream.upgraded.map(({ code }) => code),
        Array(6).fill(1001),
      )
      t.equal((await pm2.row(NAME))?.pm2_env.status, 'stopped')
    },
  )

  t.test('may signal the whole tree at once, and may die', async (t) => {
    const pm2 = await Pm2.start(t)
    pm2.openGate()
    const file = pm2.variant({ shutdown_with_message: undefined })
    t.equal((await pm2.run('start', file)).code, 0)
    await bothOpen(pm2)
    for (const { pid } of (await pm2.status())?.workers ?? []) {
      const names = environmentOf(pid ?? 0).map((entry) => entry.split('=', 1)[0] ?? '')
      t.ok(names.includes('SUPERVISOR_SLOT'))
      t.same(
        names.filter((name) => !Object.hasOwn(pm2.env, name) && !OURS.test(name)),
        [],
        'no variable of pm2 is left',
      )
    }
    t.equal((await pm2.run('stop', NAME)).code, 0)
    t.same(pm2.services(), [])
    t.same(
      pm2.upstream.upgraded.map(({ code }) => code),
      [1001, 1001],
    )

    t.equal((await pm2.run('start', NAME)).code, 0)
    await bothOpen(pm2)
    pm2.killDaemon()
    await eventually(
      () => pm2.members(),
      (members) => members.length === 0,
      { what: 'the supervisor to notice that pm2 is gone' },
    )
    t.same(
      pm2.upstream.upgraded.map(({ code }) => code),
      [1001, 1001, 1001, 1001],
    )
  })

  t.test(
    'leaves it 1.6 s by default: it warns, and closes its connections in time whatever goes on',
    async (t) => {
      const pm2 = await Pm2.start(t)
      pm2.openGate()
      const file = pm2.variant({
        kill_timeout: undefined,
        args: 'start test/process/fixtures/never-says-goodbye.js --workers 2',
      })
      t.equal((await pm2.run('start', file)).code, 0)
      await bothOpen(pm2)
      t.equal((await pm2.run('stop', NAME)).code, 0)
      t.same(pm2.services(), [])
      t.same(
        pm2.upstream.upgraded.map(({ code }) => code),
        [1001, 1001],
      )
      t.match(
        readFileSync((await pm2.row(NAME))?.pm2_env.pm_err_log_path ?? '', 'utf8'),
        /pm2 kills after 1\.6s: stopTimeout is cut from 25s to 1\.3s; set kill_timeout in its ecosystem file to 27000/,
      )
    },
  )

  t.test('cannot run it in cluster mode, and is told how it can', async (t) => {
    const pm2 = await Pm2.start(t)
    await pm2.run(
      'start',
      pm2.variant({ exec_mode: undefined, instances: 1, exp_backoff_restart_delay: undefined }),
    )
    const row = await eventually(
      async () => {
        const { pm2_env } = (await pm2.row(NAME)) ?? {}
        return {
          status: pm2_env?.status,
          exit_code: pm2_env?.exit_code,
          exec_mode: pm2_env?.exec_mode,
          log: pm2_env?.pm_err_log_path,
        }
      },
      ({ status = '' }) => /stopped|errored/.test(status),
      { what: 'pm2 to give it up' },
    )
    t.match(row, { status: 'stopped', exit_code: 78, exec_mode: 'cluster_mode' })
    const said = readFileSync(row.log ?? '', 'utf8')
    t.match(
      said,
      /^supervisor: a supervisor cannot run in a cluster worker: pm2 runs it in cluster mode; set exec_mode: 'fork' in its ecosystem file and take `instances` \(or -i\) out\n$/,
    )
    t.same(pm2.services(), [])
  })
})
