// Everything of a round that lives: supervisor, upstream, releases; and the journal of what was done to them when.
// What is done is actions.ts and endings.ts; what it means is the judges'.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Load } from '../../../bench/load.js'
import { type RecordingUpstream, startUpstream } from '../../../examples/feed/upstream.js'
import { ControlClient } from '../../../src/control/client.js'
import { signalProcess } from '../../../src/shared/process-identity.js'
import type { SupervisorStatus } from '../../../src/shared/status.js'
import { descendantsOf, isZombie, killProcesses, type ProcessRow } from '../../support/process-tree.js'
import { type CliResult, runCli } from '../../support/run-cli.js'
import { SupervisorProcess } from '../../support/supervisor-process.js'
import type { Call, Fault } from './journal.js'
import type { ReleasePlan } from './plan.js'
import { NAME, Releases } from './releases.js'

/** No command may take longer, whatever happens (ms). */
const CLI_BOUND = 30_000

export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-campaign-'))
  readonly home = join(this.folder, 'run')
  readonly upstream: RecordingUpstream
  readonly releases: Releases
  /** Supervisors in the order of their start; after the first one those that follow a `kill -9`. */
  readonly supervisors: SupervisorProcess[] = []
  readonly calls: Call[] = []
  readonly faults: Fault[] = []
  readonly violations: string[] = []
  /** HTTP clients that use the app in this round. */
  load: Load | null = null
  /** When the end was begun, on the clock of performance.now(). */
  endedAt = Number.POSITIVE_INFINITY
  /** Operations asked for in ways that tell nobody when they end. */
  operationsUnwatched = 0
  #operationsAsked = 0
  #operationsOpen = 0
  readonly #story: { at: number; text: string }[] = []
  readonly #begun = performance.now()

  static readonly #open = new Set<World>()

  private constructor(upstream: RecordingUpstream) {
    World.#open.add(this)
    this.upstream = upstream
    mkdirSync(join(this.folder, 'cwd'))
    this.releases = new Releases(this.folder, upstream.url)
  }

  static async open(): Promise<World> {
    return new World(await startUpstream({ keepsMessages: false }))
  }

  /** Ends all worlds at once, in the middle of whatever happens in them. */
  static abandonAll(): void {
    for (const world of World.#open) {
      // Whoever is forked while the first are killed is found the second time.
      for (let sweep = 0; sweep < 2; sweep++)
        for (const supervisor of world.supervisors) killProcesses(supervisor.members())
      for (const supervisor of world.supervisors) supervisor.removeFolder()
      rmSync(world.folder, { recursive: true, force: true })
    }
  }

  get supervisor(): SupervisorProcess {
    const last = this.supervisors.at(-1)
    if (last === undefined) throw new Error('no supervisor was started in this round')
    return last
  }

  get hasEndBegun(): boolean {
    return performance.now() >= this.endedAt
  }

  get socketPath(): string {
    return join(this.home, `${NAME}.sock`)
  }

  startSupervisor(): SupervisorProcess {
    const supervisor = new SupervisorProcess({
      args: ['--config', this.releases.config],
      home: this.home,
      cwd: join(this.folder, 'cwd'),
    })
    this.supervisors.push(supervisor)
    this.tell(`supervisor ${supervisor.pid} started`)
    return supervisor
  }

  deploy(release: ReleasePlan): void {
    this.releases.deploy(release)
  }

  /** Runs a command and takes down how it ended; one that does not end is a violation. Null then. */
  async cli(...args: string[]): Promise<Call | null> {
    const from = performance.now()
    const named = args.join(' ')
    this.tell(`${named}: called`)
    let result: CliResult
    try {
      result = await runCli(args, { home: this.home, cwd: this.folder, timeout: CLI_BOUND })
    } catch (error) {
      this.violate(`unbounded: ${(error as Error).message}`)
      return null
    }
    const call = { args, from, to: performance.now(), ...result }
    this.calls.push(call)
    const said = result.stderr.trim().split('\n', 1)[0] ?? ''
    this.tell(`${named}: ended with ${result.signal ?? result.code} after ${result.ms.toFixed(0)} ms ${said}`)
    return call
  }

  /** Runs an operation that changes workers; `isAlone` tells whether no other such one was under way in that time. */
  async alone(operate: (isAlone: () => boolean) => Promise<void>): Promise<void> {
    const asked = ++this.#operationsAsked
    const isFirst = this.#operationsOpen++ === 0
    try {
      await operate(() => isFirst && asked === this.#operationsAsked && this.operationsUnwatched === 0)
    } finally {
      this.#operationsOpen--
    }
  }

  /** Asks over the socket, without the cost of a process; null when there is no answer. */
  async status(): Promise<SupervisorStatus | null> {
    const client = new ControlClient({ name: NAME, socketPath: this.socketPath })
    return client.status().catch(() => null)
  }

  /** Workers of the present supervisor that live now, in the order of their pids; ready or not. */
  workers(): ProcessRow[] {
    // Not the programs that it runs now and then, such as `node --check`.
    return descendantsOf(this.supervisor.pid).filter(
      (row) => !isZombie(row) && /\/preload\.c?js/.test(row.command),
    )
  }

  /** Signals a process as a fault from outside, and takes it down. */
  fault(row: Pick<ProcessRow, 'pid' | 'startTime'>, signal: NodeJS.Signals, ms = 0): void {
    const isPrimary = row.pid === this.supervisor.pid
    signalProcess(row, signal)
    this.faults.push({
      at: performance.now(),
      until: performance.now() + ms,
      pid: row.pid,
      isPrimary,
      signal,
    })
    this.tell(
      `${signal} to ${isPrimary ? 'the supervisor' : 'worker'} ${row.pid}${ms > 0 ? ` for ${ms} ms` : ''}`,
    )
  }

  beginEnd(): void {
    this.endedAt = Math.min(this.endedAt, performance.now())
  }

  tell(text: string): void {
    this.#story.push({ at: performance.now(), text })
  }

  violate(text: string): void {
    this.violations.push(text)
    this.tell(`VIOLATION ${text}`)
  }

  get story(): string[] {
    return this.#story.map(({ at, text }) => `${(at - this.#begun).toFixed(0).padStart(6)} ms  ${text}`)
  }

  /** Ends everything. The folder stays where `keeps`, with all that was said in it. */
  async close({ plan, keeps }: { plan: readonly string[]; keeps: boolean }): Promise<void> {
    for (const supervisor of this.supervisors) {
      await supervisor.kill()
      if (keeps)
        writeFileSync(
          join(this.folder, `supervisor-${supervisor.pid}.log`),
          `${supervisor.lines.join('\n')}\n`,
        )
      supervisor.removeFolder()
    }
    await this.load?.stop()
    await this.upstream.stop()
    World.#open.delete(this)
    if (!keeps) return rmSync(this.folder, { recursive: true, force: true })
    writeFileSync(join(this.folder, 'upstream.log'), `${this.upstream.describe(10_000)}\n`)
    const commands = this.calls.map(
      ({ args, stdout, stderr }) => `$ supervisor ${args.join(' ')}\n${stdout}${stderr}`,
    )
    writeFileSync(join(this.folder, 'commands.log'), commands.join('\n'))
    writeFileSync(join(this.folder, 'story.txt'), `${[...plan, '', ...this.story].join('\n')}\n`)
  }
}
