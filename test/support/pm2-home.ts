// A real pm2 with a home of its own, for one test or one cell of a matrix: its commands, its table, its daemon's death, and
// who of it lives. What it runs is its user's; ending it proves that nothing is left.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { processIdentity, signalProcess } from '../../src/shared/process-identity.js'
import { cleanEnv } from './clean-children.js'
import { eventually } from './deadline.js'
import { isZombie, killProcesses, markedProcesses, type ProcessRow } from './process-tree.js'
import { pm2Command } from './tools.js'

const MARK = 'TEST_TREE_MARK'
const COMMAND_TIMEOUT = 60_000

export interface Pm2Row {
  name: string
  pid: number
  pm_id: number
  pm2_env: {
    status: string
    exit_code?: number
    pm_err_log_path: string
    pm_out_log_path: string
    exec_mode: string
    restart_time: number
    unstable_restarts: number
  }
}

export interface Pm2Result {
  code: number | null
  output: string
}

export interface Pm2Options {
  /** Its home is made below. */
  folder: string
  major?: 5 | 6 | 7
  env?: NodeJS.ProcessEnv
}

export class Pm2Home {
  readonly env: NodeJS.ProcessEnv
  readonly folder: string
  readonly #mark = randomUUID()
  readonly #command: string

  constructor({ folder, major = 7, env = {} }: Pm2Options) {
    this.folder = folder
    this.#command = pm2Command(major)
    this.env = cleanEnv({
      PM2_HOME: join(folder, 'pm2'),
      PM2_DISABLE_VERSION_CHECK: '1',
      [MARK]: this.#mark,
      ...env,
    })
  }

  async run(...args: string[]): Promise<Pm2Result> {
    const child = spawn(process.execPath, [this.#command, ...args], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT,
    })
    const [output, complaints, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    return { code, output: output + complaints }
  }

  async rows(): Promise<Pm2Row[]> {
    const { output } = await this.run('jlist')
    return JSON.parse(output.slice(output.indexOf('[')))
  }

  async row(name: string): Promise<Pm2Row | undefined> {
    return (await this.rows()).find((row) => row.name === name)
  }

  /** A file for `pm2 start`. */
  file(app: object): string {
    const file = join(this.folder, 'app.config.json')
    writeFileSync(file, JSON.stringify({ apps: [app] }))
    return file
  }

  /** `kill -9`, of that very process. */
  killDaemon(): void {
    const pid = Number(readFileSync(join(this.folder, 'pm2', 'pm2.pid'), 'utf8'))
    signalProcess(processIdentity(pid), 'SIGKILL')
  }

  /** pm2 itself and everything it has started that lives. */
  members(): ProcessRow[] {
    return markedProcesses(MARK, this.#mark).filter((row) => !isZombie(row))
  }

  /** Supervisors and workers, not pm2 itself. */
  services(): ProcessRow[] {
    return this.members().filter(({ command }) => /preload\.c?js|ProcessContainer|supervisor/.test(command))
  }

  /** Ends it at once, with all that is left of it. */
  killAll(): void {
    // Whoever is forked while the first are killed is found the second time.
    for (let sweep = 0; sweep < 2; sweep++) killProcesses(this.members())
  }

  /**
   * `pm2 kill`, and the proof that nothing is left. Whatever the outcome, no process of it lives on.
   *
   * @throws naming what is left.
   */
  async end(): Promise<void> {
    try {
      await this.run('kill')
      await eventually(
        () => this.members().map(({ pid, command }) => `${pid} ${command}`),
        (members) => members.length === 0,
        { what: 'pm2 and everything it started to be gone' },
      )
    } finally {
      this.killAll()
    }
  }
}
