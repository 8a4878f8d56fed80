// A real supervisor (or any program) in a session of its own with its own runtime folder, for one test. When the test is
// over it is ended, and the world is proved clean: no process, socket file or lock of it is left.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { SupervisorStatus } from '../../src/shared/status.js'
import { cleanEnv } from './clean-children.js'
import { eventually, withDeadline } from './deadline.js'
import {
  descendantsOf,
  isZombie,
  killProcesses,
  markedProcesses,
  type ProcessRow,
  sessionMembers,
} from './process-tree.js'
import { CLI, type CliResult, runCli } from './run-cli.js'

export interface StartOptions {
  /** Arguments of `supervisor start`, such as `['app.js', '-i', '2']`. */
  args?: readonly string[]
  /** Arguments of node for another program than `supervisor start`. */
  program?: readonly string[]
  /** What runs `program` instead of node. */
  executable?: string
  /** Whether its output is read. Default true; if not, its pipes fill and stay full. */
  isRead?: boolean
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Runtime folder of another supervisor, to be shared with it. Default: an own one. */
  home?: string
  /** Its name, where the folder is shared: commands are for it, and what is left is looked for under it. */
  name?: string
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** In the environment of every process of a tree: finds also those that left their session and lost their parents. */
const MARK = 'TEST_TREE_MARK'
/** Longer than any `stopTimeout` that tests use. */
const GRACEFUL_END = 30_000
/** Workers are promised to be gone that long after the `kill -9` of their primary; and the test's own delay. */
const ORPHANS_END = 2_000 + 1_000
/** A graceful stop has waited for its workers: only the kernel's own work may still be under way. */
const STRAGGLERS_END = 500
const LAST_LINES = 60

/** Starts a supervisor for a test; it is ended, and checked to leave nothing, when the test is over. */
export const startSupervisor = (t: Test, options: StartOptions = {}): SupervisorProcess => {
  const supervisor = new SupervisorProcess(options)
  t.teardown(async () => {
    const wasPassing = t.passing()
    try {
      await supervisor.end()
    } catch (error) {
      supervisor.tell()
      throw error
    }
    if (wasPassing) supervisor.removeFolder()
    else supervisor.tell()
  })
  return supervisor
}

export class SupervisorProcess {
  readonly pid: number
  /** Temp folder of this supervisor; kept when its test failed. */
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-'))
  readonly home: string
  /** What it printed, stdout and stderr together, a line each. */
  readonly lines: string[] = []
  readonly exited: Promise<Exit>
  exit: Exit | null = null
  readonly #child: ChildProcess
  readonly #mark = randomUUID()
  readonly #lookers = new Set<() => void>()
  readonly #name: string | undefined
  #hasClosed = false

  constructor({
    args = [],
    program,
    executable = process.execPath,
    isRead = true,
    env = {},
    cwd = process.cwd(),
    home,
    name,
  }: StartOptions) {
    this.#name = name
    this.home = home ?? join(this.folder, 'run')
    // detached makes it the leader of a new session and process group, as a terminal or pm2 does.
    this.#child = spawn(executable, program === undefined ? [CLI, 'start', ...args] : [...program], {
      cwd,
      env: cleanEnv({ FORKSAFE_HOME: this.home, [MARK]: this.#mark, NO_COLOR: '1', ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.pid = this.#child.pid ?? 0
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null && isRead) createInterface({ input: stream }).on('line', (line) => this.#add(line))
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('exit', (code, signal) => {
        this.exit = { code, signal }
        resolve(this.exit)
      })
    })
    // Only now its output, and that of workers that share it, has ended: no line can come any more.
    this.#child.on('close', () => {
      this.#hasClosed = true
      this.#look()
    })
  }

  /** The first line, printed already or yet to come, that matches; `after` skips that many lines. */
  waitForLine(
    pattern: RegExp,
    { timeout, after = 0 }: { timeout?: number; after?: number } = {},
  ): Promise<RegExpExecArray> {
    let next = after
    let stopLooking = () => {}
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        for (; next < this.lines.length; next++) {
          const match = pattern.exec(this.lines[next] ?? '')
          if (match !== null) return resolve(match)
        }
        if (this.#hasClosed) reject(new Error(`it ended before it printed ${pattern}:\n${this.lastLines()}`))
      }
      this.#lookers.add(look)
      stopLooking = () => this.#lookers.delete(look)
      look()
    })
    return withDeadline(found, {
      what: `a line like ${pattern}`,
      ...(timeout === undefined ? {} : { timeout }),
      last: () => this.lastLines(),
    }).finally(stopLooking)
  }

  /** The reader of its output goes away. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  /** `supervisor <command> …` against this supervisor's runtime folder. */
  cli(command: string, ...args: string[]): Promise<CliResult> {
    const who = this.#name === undefined ? [] : ['--name', this.#name]
    return runCli([command, ...args, ...who], { home: this.home })
  }

  async status(): Promise<SupervisorStatus> {
    const { code, stdout, stderr } = await this.cli('status', '--json')
    if (code !== 0) throw new Error(`status --json ended with ${code}: ${stderr}${stdout}`)
    return JSON.parse(stdout) as SupervisorStatus
  }

  /** Asks for the status until it is as wanted. */
  waitForStatus(
    isWanted: (status: SupervisorStatus) => boolean,
    what: string,
    timeout?: number,
  ): Promise<SupervisorStatus> {
    const look = () =>
      this.status().catch((error: unknown) => (this.exit === null ? null : Promise.reject(error)))
    const wait = {
      what: `${what}; its lines:\n${this.lastLines()}`,
      ...(timeout === undefined ? {} : { timeout }),
    }
    return eventually(look, (status) => status !== null && isWanted(status), wait).then((status) => {
      if (status === null) throw new Error('no status')
      return status
    })
  }

  /** Settles when the supervisor runs and every worker is ready. */
  waitUntilReady(timeout?: number): Promise<SupervisorStatus> {
    const isReady = ({ state, workers }: SupervisorStatus) =>
      state === 'running' && workers.length > 0 && workers.every((worker) => worker.state === 'ready')
    return this.waitForStatus(isReady, 'all workers to be ready', timeout)
  }

  /** To the supervisor alone; nothing where it has just ended, and only we have not heard of it yet. */
  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) this.#child.kill(signal)
  }

  /** To the supervisor and everybody in its process group at once, as Ctrl-C, pm2 and systemd do. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal)
  }

  /** Processes of this supervisor that are alive now, itself included. */
  members(): ProcessRow[] {
    const found = [
      ...sessionMembers(this.pid),
      ...descendantsOf(this.pid),
      ...markedProcesses(MARK, this.#mark),
    ]
    return [...new Map(found.filter((row) => !isZombie(row)).map((row) => [row.pid, row])).values()]
  }

  /** Socket files and locks that are in the runtime folder now. */
  filesLeft(): string[] {
    try {
      const files = readdirSync(this.home).filter((file) => /\.(sock|lock)$/.test(file))
      return files.filter((file) => this.#name === undefined || file.startsWith(`${this.#name}.`))
    } catch {
      return []
    }
  }

  /**
   * Waits for the exit and proves that nothing is left: no process, and, unless it was killed, no socket file and no lock.
   *
   * @throws naming what is left. Whatever the outcome, no process of it lives on.
   */
  async leavesNothing({ timeout = GRACEFUL_END }: { timeout?: number } = {}): Promise<Exit> {
    try {
      return await this.#proveNothingLeft(timeout)
    } finally {
      killProcesses(this.members())
    }
  }

  /** Stops it by SIGTERM if it still runs, and proves that nothing is left. */
  async end(): Promise<void> {
    this.signal('SIGTERM')
    this.signal('SIGCONT') // A stopped process takes its signals only then.
    await this.leavesNothing()
  }

  /** Ends it at once, with everybody that is left of it. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
    killProcesses(this.members())
  }

  lastLines(): string {
    return this.lines.length === 0 ? '(it printed nothing)' : this.lines.slice(-LAST_LINES).join('\n')
  }

  /** For a failed test: where its folder is and what it printed last. */
  tell(): void {
    console.error(`the supervisor's folder is kept: ${this.folder}; its last lines:\n${this.lastLines()}`)
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #proveNothingLeft(timeout: number): Promise<Exit> {
    const last = () => this.lastLines()
    const exit = await withDeadline(this.exited, { what: 'the supervisor to exit', timeout, last })
    const wasKilled = exit.signal === 'SIGKILL'
    const wait = {
      what: 'no process of the supervisor to be left',
      timeout: wasKilled ? ORPHANS_END : STRAGGLERS_END,
    }
    await eventually(
      () => this.members(),
      (members) => members.length === 0,
      wait,
    )
    const files = this.filesLeft()
    if (!wasKilled && files.length > 0) {
      throw new Error(`left in the runtime folder ${this.home}: ${files.join(', ')}`)
    }
    return exit
  }

  #add(line: string): void {
    this.lines.push(line)
    this.#look()
  }

  #look(): void {
    for (const look of this.#lookers) look()
  }
}
