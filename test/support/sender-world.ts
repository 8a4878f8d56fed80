// An upstream of exclusive connections, and supervisors or scripts whose processes send numbered messages over one of them
// (test/campaign/fixtures/exclusive-sender.js), for one test. What was seen and said is judged by judge-exclusive.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { eventually } from './deadline.js'
import { ExclusiveUpstream, type OpenConnection } from './exclusive-upstream.js'
import { type Demands, type Judgement, judgeExclusive, violationsOf } from './judge-exclusive.js'
import { type Journal, pendingOf, readJournals } from './sender-journal.js'
import { type SupervisorProcess, startSupervisor } from './supervisor-process.js'

export const IDENTITY = 'feed'
const APP = 'test/campaign/fixtures/exclusive-app.js'
const SCRIPT = 'test/campaign/fixtures/exclusive-script.js'
/** For starts, and for coming to rest (ms). */
const CALM_BOUND = 25_000

const CLIENT_OPTIONS = {
  onUnconfirmed: 'resend',
  connectTimeout: '2s',
  backoff: { min: '10ms', max: '200ms' },
  drainTimeout: '5s',
  closeTimeout: '2s',
}

export interface Starter {
  name?: string
  app?: string
  /** null: a plain script. */
  workers?: number | null
  args?: readonly string[]
  /** Arguments of node for a program of its own. */
  program?: readonly string[]
  env?: NodeJS.ProcessEnv
  /** Each sender sends a message each so many ms. */
  every?: number
  /** Of its client, beyond {@link CLIENT_OPTIONS}. */
  options?: object
  /** Where it goes instead of the world's upstream. */
  upstream?: ExclusiveUpstream
}

export class SenderWorld {
  readonly folder: string
  readonly upstream: ExclusiveUpstream

  private constructor(folder: string, upstream: ExclusiveUpstream) {
    this.folder = folder
    this.upstream = upstream
  }

  static async open(t: Test): Promise<SenderWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'forksafe-senders-'))
    const world = new SenderWorld(folder, await ExclusiveUpstream.start(folder))
    t.teardown(async () => {
      await world.upstream.stop()
      if (t.passing()) rmSync(folder, { recursive: true, force: true })
      else console.error(`journals and the upstream's log are kept: ${folder}`)
    })
    return world
  }

  /** Runtime folder of all who start in this world. */
  get home(): string {
    return join(this.folder, 'run')
  }

  start(t: Test, starter: Starter = {}): SupervisorProcess {
    const { name = 'senders', app = APP, workers = 2, args = [], env = {}, every = 5, options = {} } = starter
    const { upstream = this.upstream, program = workers === null ? [SCRIPT] : null } = starter
    const sending = {
      ...{ url: upstream.url(IDENTITY), folder: this.folder, every, isExclusive: true },
      options: { ...CLIENT_OPTIONS, ...options },
    }
    const own = [app, '-i', String(workers), '--name', name, '--min-uptime', '100ms', '--stop-timeout', '10s']
    return startSupervisor(t, {
      ...(program === null ? { args: [...own, ...args] } : { program }),
      ...{ home: this.home, name },
      env: { SENDING: JSON.stringify(sending), ...env },
    })
  }

  journals(): Journal[] {
    return readJournals(this.folder)
  }

  journalsOf(participant: SupervisorProcess): Journal[] {
    const pids = new Set(participant.members().map(({ pid }) => pid))
    return this.journals().filter(({ pid }) => pids.has(pid))
  }

  /** Settles when so many living senders of it have a receipt each. */
  async proved(participant: SupervisorProcess, senders: number): Promise<void> {
    await eventually(
      () =>
        this.journalsOf(participant).filter(({ sent }) =>
          [...sent.values()].some((outcome) => outcome !== null && 'level' in outcome),
        ).length,
      (found) => found >= senders,
      { what: `${senders} senders to have a receipt; ${participant.lastLines()}`, timeout: CALM_BOUND },
    )
  }

  /** The one connection, when a process of that number has it. */
  async heldBy(pid: number | null | undefined, timeout?: number): Promise<OpenConnection> {
    const found = () => this.upstream.open(IDENTITY).find(({ who }) => who === String(pid))
    await this.upstream.until(() => found() !== undefined, `pid ${pid} to have the connection`, timeout)
    const connection = found()
    if (connection === undefined) throw new Error(`pid ${pid} has lost the connection at once`)
    return connection
  }

  /** Nothing new is sent; settles when all that the living senders of it have sent is settled. */
  async comeToRest(participant: SupervisorProcess): Promise<void> {
    writeFileSync(join(this.folder, 'stop'), '')
    await eventually(
      () =>
        this.journalsOf(participant)
          .filter((journal) => pendingOf(journal) > 0 || !journal.notes.includes('stopped'))
          .map((journal) => `${journal.sender}: ${pendingOf(journal)} of ${journal.sent.size}`),
      (open) => open.length === 0,
      { what: 'everything that was sent to be settled', timeout: CALM_BOUND },
    )
  }

  /** What breaks a promise, a line each; to be asked when all have ended. */
  violations(demands: Demands): string[] {
    return violationsOf(this.judgement(), demands)
  }

  judgement(): Judgement {
    return judgeExclusive(this.upstream.log(), this.journals())
  }
}
