// Everything of a cell that lives: a pm2, the supervisor under it whose workers share one exclusive connection, and the
// upstream that wrote everything down. What is done to them is deeds.ts.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { SupervisorStatus } from '../../../src/shared/status.js'
import { eventually } from '../../support/deadline.js'
import { upstreamClock } from '../../support/exclusive-log.js'
import { ExclusiveUpstream } from '../../support/exclusive-upstream.js'
import { Pm2Home, type Pm2Row } from '../../support/pm2-home.js'
import type { ProcessRow } from '../../support/process-tree.js'
import { runCli } from '../../support/run-cli.js'
import { type Cell, describeCell } from './cells.js'

export const IDENTITY = 'feed'
export const NAME = 'feed'
const WORKERS = 2
/** For coming up, on a machine that has other work (ms). */
const UP_BOUND = 30_000

const CLIENT_OPTIONS = {
  connectTimeout: '2s',
  backoff: { min: '10ms', max: '200ms' },
  drainTimeout: '1s',
  closeTimeout: '1s',
}

export class Pm2World {
  readonly cell: Cell
  readonly folder: string
  readonly upstream: ExclusiveUpstream
  readonly pm2: Pm2Home
  readonly violations: string[] = []
  readonly #story: string[] = []
  readonly #begun = upstreamClock()

  static readonly #open = new Set<Pm2World>()

  static async open(cell: Cell): Promise<Pm2World> {
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'forksafe-pm2-'))
    return new Pm2World(cell, folder, await ExclusiveUpstream.start(folder))
  }

  private constructor(cell: Cell, folder: string, upstream: ExclusiveUpstream) {
    this.cell = cell
    this.folder = folder
    this.upstream = upstream
    const sending = {
      ...{ url: upstream.url(IDENTITY), folder, every: 10, isExclusive: true },
      options: CLIENT_OPTIONS,
    }
    this.pm2 = new Pm2Home({
      folder,
      major: cell.major,
      env: {
        FORKSAFE_HOME: this.home,
        SENDING: JSON.stringify(sending),
        ...(cell.hasPs ? {} : { PATH: pathWithoutPs(folder) }),
      },
    })
    Pm2World.#open.add(this)
  }

  /** Ends all worlds at once, in the middle of whatever happens in them. */
  static abandonAll(): void {
    for (const { pm2, upstream, folder } of Pm2World.#open) {
      pm2.killAll()
      upstream.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }

  get home(): string {
    return join(this.folder, 'run')
  }

  /** As ecosystem.config.js has it, but for what the cell says. */
  app(changes: object = {}): object {
    const { killTimeout, treekill, message, pmx } = this.cell
    return {
      name: NAME,
      script: resolve('bin/supervisor.js'),
      args: `start ${resolve('test/campaign/fixtures/exclusive-app.js')} --workers ${WORKERS} --name ${NAME} --min-uptime 100ms`,
      interpreter: 'node',
      exec_mode: 'fork',
      wait_ready: true,
      listen_timeout: 60_000,
      treekill,
      shutdown_with_message: message,
      pmx,
      stop_exit_codes: [78],
      exp_backoff_restart_delay: 100,
      ...(killTimeout === null ? {} : { kill_timeout: killTimeout }),
      ...changes,
    }
  }

  /** `pm2 start` of the file, and what it promises: online means ready. */
  async start(): Promise<void> {
    const { code, output } = await this.pm2.run('start', this.pm2.file(this.app()))
    if (code !== 0) this.violate(`pm2 start ended with ${code}: ${output}`)
    const status = await this.status()
    if (status?.state !== 'running' || status.workers.some(({ state }) => state !== 'ready'))
      this.violate(`pm2 start is over, and it is ${status?.state ?? 'not to be asked'}`)
    await this.isUp()
  }

  async status(): Promise<SupervisorStatus | null> {
    const { code, stdout } = await runCli(['status', '--json', '--name', NAME], { home: this.home })
    return code === 0 ? JSON.parse(stdout) : null
  }

  /** Settles when all workers are ready and one of them has the connection. */
  async isUp(
    isWanted: (status: SupervisorStatus) => boolean = () => true,
    what = 'all workers to be ready',
  ): Promise<SupervisorStatus> {
    const status = await eventually(
      () => this.status(),
      (found) =>
        found !== null &&
        found.state === 'running' &&
        found.workers.length === WORKERS &&
        found.workers.every(({ state }) => state === 'ready') &&
        isWanted(found),
      { what, timeout: UP_BOUND },
    )
    if (status === null) throw new Error('no status')
    const pids = status.workers.map(({ pid }) => String(pid))
    await this.upstream.until(
      () => this.upstream.open(IDENTITY).some(({ who }) => pids.includes(who)),
      'a worker to have the connection',
      UP_BOUND,
    )
    return status
  }

  async isDisconnected(): Promise<void> {
    await this.upstream.until(
      () => this.upstream.open(IDENTITY).length === 0,
      'the connection to be closed',
      UP_BOUND,
    )
  }

  /** The supervisor's row in pm2's table: the first one of its name. */
  async row(): Promise<Pm2Row> {
    const row = await this.pm2.row(NAME)
    if (row === undefined) throw new Error(`pm2 does not know ${NAME}`)
    return row
  }

  /** Supervisors that live: under pm2 the process calls itself by the script. */
  supervisors(): ProcessRow[] {
    return this.pm2.services().filter(({ command }) => !/preload\.c?js/.test(command))
  }

  filesLeft(): string[] {
    return readdirSync(this.home).filter((name) => /\.(sock|lock)$/.test(name))
  }

  /** How often pm2 has started a supervisor, those included that ended at once. */
  starts(): number {
    const log = readFileSync(join(this.folder, 'pm2', 'pm2.log'), 'utf8')
    return log.match(/App \[[\w:]+\] starting in/g)?.length ?? 0
  }

  log(): string {
    const folder = join(this.folder, 'pm2', 'logs')
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('')
  }

  tell(text: string): void {
    this.#story.push(`${(upstreamClock() - this.#begun).toFixed(0).padStart(6)} ms  ${text}`)
  }

  violate(text: string): void {
    this.violations.push(text)
    this.tell(`VIOLATION ${text}`)
  }

  get story(): string[] {
    return [describeCell(this.cell), ...this.#story]
  }

  async close({ keeps }: { keeps: boolean }): Promise<void> {
    this.pm2.killAll()
    await this.upstream.stop()
    Pm2World.#open.delete(this)
    if (keeps) writeFileSync(join(this.folder, 'story.txt'), `${this.story.join('\n')}\n`)
    else rmSync(this.folder, { recursive: true, force: true })
  }
}

/** As in a slim image: node, and nothing beside it. */
const pathWithoutPs = (folder: string): string => {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  return bin
}
