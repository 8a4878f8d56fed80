// One who takes part in a round: a supervisor with its workers, or a plain script, in a session of its own.

import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '../../../src/control/client.js'
import { withDeadline } from '../../support/deadline.js'
import {
  descendantsOf,
  isZombie,
  killProcesses,
  type ProcessRow,
  processRow,
} from '../../support/process-tree.js'
import { SupervisorProcess } from '../../support/supervisor-process.js'
import type { Starter } from './plan.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const APP = fixture('exclusive-app.js')
const SCRIPT = fixture('exclusive-script.js')
/** Debian's package libfaketime. */
export const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'
/** What a stop may take at most: `stopTimeout`, and the way out (ms). */
const END_BOUND = 20_000

export interface ParticipantOptions {
  name: string
  home: string
  /** Told to the senders: exclusive-sender.js. */
  sending: object
  /** Where the file is that moves its clock; null: its clock is the machine's. */
  clockFile?: string | null
}

export class Participant {
  readonly name: string
  readonly starter: Starter
  readonly process: SupervisorProcess
  readonly control: ControlClient
  readonly #clockFile: string | null
  /** Whether a fault ended it: nothing is owed of it. */
  isKilled = false

  constructor(starter: Starter, { name, home, sending, clockFile = null }: ParticipantOptions) {
    this.name = name
    this.starter = starter
    this.#clockFile = clockFile
    if (clockFile !== null) {
      if (!existsSync(FAKETIME))
        throw new Error('libfaketime is missing; bring it: apt-get install -y libfaketime')
      this.moveClock(0)
    }
    const env = {
      SENDING: JSON.stringify(sending),
      ...(starter.serves ? { SERVES: '1' } : {}),
      ...(starter.isWithoutKernelLock ? { FORKSAFE_NO_KERNEL_LOCK: '1' } : {}),
      ...(clockFile === null ? {} : clockEnvironment(clockFile)),
    }
    const args = [APP, '-i', String(starter.workers), '--name', name, '--min-uptime', '100ms']
    this.process = new SupervisorProcess({
      ...(starter.workers === null ? { program: [SCRIPT] } : { args: [...args, '--stop-timeout', '10s'] }),
      home,
      env,
    })
    this.control = new ControlClient({ name, socketPath: join(home, `${name}.sock`) })
  }

  /** How many senders it has when all its workers run. */
  get senderCount(): number {
    return this.starter.workers ?? 1
  }

  get hasExited(): boolean {
    return this.process.exit !== null
  }

  /** Its living processes: the supervisor, or script, first. */
  rows(): ProcessRow[] {
    const own = processRow(this.process.pid)
    return [...(own === null ? [] : [own]), ...descendantsOf(this.process.pid)].filter(
      (row) => !isZombie(row),
    )
  }

  has(pid: number): boolean {
    return pid === this.process.pid || this.rows().some((row) => row.pid === pid)
  }

  /** Of those processes, the worker whose client of an identity is no standby, as the supervisor says. */
  async holderOf(identity: string, known: readonly number[]): Promise<number | undefined> {
    const status = await this.control.status().catch(() => null)
    const holding = (status?.workers ?? []).filter(({ clients }) =>
      clients.some((client) => client.identity === identity && client.role !== 'standby'),
    )
    return holding.map(({ pid }) => pid ?? 0).find((pid) => known.includes(pid))
  }

  /** Seconds off the machine's clock. */
  moveClock(seconds: number): void {
    if (this.#clockFile === null) throw new Error(`${this.name} has the machine's clock`)
    // Renamed, as it is read all the time: an empty file would be a jump of its own.
    writeFileSync(`${this.#clockFile}.draft`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    renameSync(`${this.#clockFile}.draft`, this.#clockFile)
  }

  /** By SIGTERM; settles when it is gone. */
  async stop(): Promise<void> {
    this.process.signal('SIGTERM')
    await withDeadline(this.process.exited, {
      what: `${this.name} to stop`,
      timeout: END_BOUND,
      last: () => this.process.lastLines(),
    })
  }

  /** All its processes at once, by SIGKILL. */
  async killAll(): Promise<void> {
    this.isKilled = true
    killProcesses(this.rows())
    await this.process.kill()
  }
}

/** The wall clock alone: what is waited for goes on as ever. */
export const clockEnvironment = (file: string): NodeJS.ProcessEnv => ({
  LD_PRELOAD: FAKETIME,
  FAKETIME_TIMESTAMP_FILE: file,
  FAKETIME_NO_CACHE: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
})
