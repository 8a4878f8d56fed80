// What the primary watches its workers for, put together: figures for the status, limits and hangs, sockets, connects
// within requests, out-of-memory kills, foreign versions. Each is a room of its own; here they get what they need of the
// supervisor. They decide nothing: what follows from what they see becomes a command or an event.

import type { LogLine } from '../observe/log-buffer.js'
import { OomKills } from '../observe/oom-kills.js'
import type { Output } from '../observe/output.js'
import type { Finding } from '../shared/finding.js'
import { healthUrl } from '../shared/health-address.js'
import type { Progress, WorkerRef } from '../shared/progress.js'
import type { PrimaryMessage, WorkerMessage } from '../shared/protocol.js'
import { roleOf, showListen } from '../shared/relay-role.js'
import type { Settings } from '../shared/settings.js'
import type { SupervisorStatus } from '../shared/status.js'
import { VERSION } from '../shared/version.js'
import { AuditDesk } from './audit-desk.js'
import type { Command } from './commands.js'
import { ConnectReports } from './connect-reports.js'
import { ForkAuditDesk } from './fork-audit-desk.js'
import type { Generations } from './generations.js'
import { LimitWatch } from './limit-watch.js'
import { StatusReader } from './status-reader.js'
import type { SupervisorCore } from './supervisor-core.js'
import type { ProcessEnd } from './worker-handle.js'
import type { WatchedWorker } from './worker-limits.js'
import type { WorkerProcess } from './worker-process.js'

type Fields = NonNullable<LogLine['fields']>

/** What of a supervisor they see and use. */
export interface Watched {
  /** Of the start; what may change with a release is in `generations`. */
  settings: Settings
  core: SupervisorCore
  generations: Generations
  /** How many slots run a relay beside the app. */
  relays: number
  processes: ReadonlyMap<number, WorkerProcess>
  output: Output
  enqueue: (command: Command) => void
  progress: (progress: Progress) => void
  warn: (text: string, fields?: Fields) => void
  /** The text is made only where somebody wants it. */
  debug: (text: () => string, fields: Fields) => void
}

export class Watches {
  readonly audits: AuditDesk
  readonly #watched: Watched
  readonly #status: StatusReader
  readonly #limits: LimitWatch
  readonly #forkAudit: ForkAuditDesk
  readonly #connects: ConnectReports
  readonly #oomKills = new OomKills()
  readonly #otherVersions = new Set<string>()
  /** Workers whose runtime knows every message of ours. */
  readonly #ofOurVersion = new Set<number>()

  constructor(watched: Watched) {
    this.#watched = watched
    const { settings, core, generations, relays, processes, output, enqueue, progress, warn, debug } = watched
    const tell = (id: number, message: PrimaryMessage): void => processes.get(id)?.tell(message)
    const workers = () =>
      core.pool.live.flatMap(({ id, slot, pid, generation }) =>
        pid === null ? [] : [{ id, slot, pid, generation }],
      )
    this.#status = new StatusReader({
      core,
      name: settings.name,
      health: settings.health === undefined ? null : healthUrl(settings.health),
      relay:
        settings.relay === undefined
          ? null
          : { listen: settings.relay.listen.map(showListen), spool: settings.relay.spool },
      roleOf: (slot) => roleOf(slot, relays, settings),
      script: () => generations.scriptOf(core.generation),
      tell,
      logs: () => ({ dropped: output.dropped, level: output.level, file: settings.logFile ?? null }),
    })
    this.audits = new AuditDesk({
      name: settings.name,
      settings: () => generations.of(core.generation),
      workers,
      tell,
      status: this.#status,
      forkFindings: () => this.forkFindings(),
    })
    this.#limits = new LimitWatch({
      ready: () => this.#readyWorkers(),
      askBeat: (id) => tell(id, { type: 'askBeat' }),
      breached: (id, breach) => enqueue({ type: 'workerOverLimit', id, breach }),
    })
    this.#forkAudit = new ForkAuditDesk({
      workers,
      descriptors: () => [...processes.values()].flatMap(({ descriptors }) => descriptors),
      isStrict: (generation) => generations.of(generation).forkGuard === 'strict',
      found: (finding) => progress({ event: 'forkFinding', ...finding }),
      reject: (id, reason) => enqueue({ type: 'workerMisbehaved', id, reason }),
      looked: (pids, ms) =>
        debug(() => `sockets looked at in ${ms.toFixed(1)} ms for ${pids.join(', ')}`, {
          event: 'forkAuditDone',
          pids,
          ms,
        }),
      failed: (reason) =>
        debug(() => `the fork audit failed: ${reason}`, { event: 'forkAuditFailed', reason }),
    })
    this.#connects = new ConnectReports(warn)
  }

  status(): Promise<SupervisorStatus> {
    return this.#status.read()
  }

  /** What the looks after forks have found: distinct ones, the latest 50, oldest first. */
  forkFindings(): Finding[] {
    return this.#forkAudit.findings
  }

  forked(id: number): void {
    this.#forkAudit.forked(id)
  }

  /** To be awaited in a fork window, behind its forks. */
  inWindow(signal: AbortSignal): Promise<void> {
    return this.#forkAudit.inWindow(signal)
  }

  ready(pid: number): void {
    this.#limits.look()
    this.#forkAudit.ready(pid)
  }

  /** What a worker says of itself; whether it was meant for nobody else. */
  said(id: number, message: WorkerMessage): boolean {
    switch (message.type) {
      case 'hello':
        this.#greeted(id, message.version)
        return true
      case 'listening':
        this.audits.listening(message.address)
        return false
      case 'report':
        this.#status.reported(id, message.id, message.report)
        return true
      case 'sockets':
        this.audits.answered(message.id, message.sockets)
        return true
      case 'connectInRequest':
        this.#connects.came(id, this.#refOf(id), message.report)
        return true
      case 'beat':
        this.#limits.beat(id)
        return true
      default:
        return false
    }
  }

  /** @returns how it ended, with what only the kernel knows of it. */
  exited(id: number, how: ProcessEnd): ProcessEnd {
    this.#ofOurVersion.delete(id)
    this.#status.forget(id)
    this.#connects.forget(id)
    return how.signal === 'SIGKILL' ? { ...how, outOfMemory: this.#oomKills.look() } : how
  }

  end(): void {
    this.#status.end()
    this.#limits.end()
    this.audits.end()
    this.#forkAudit.end()
  }

  #refOf(id: number): WorkerRef {
    const handle = this.#watched.core.pool.get(id)
    return { slot: handle?.slot ?? 0, pid: handle?.pid ?? 0, generation: handle?.generation ?? 0 }
  }

  #readyWorkers(): (WatchedWorker & { pid: number })[] {
    const { core, generations } = this.#watched
    return core.pool.live.flatMap(({ id, pid, state, readyAt, generation }) => {
      if (state !== 'ready' || pid === null || readyAt === null) return []
      const limits = generations.of(generation)
      return [{ id, pid, readyAt, limits, canBeat: this.#ofOurVersion.has(id) }]
    })
  }

  /** Updated in place, the package on disk is newer than this process: workers get the new runtime, we keep the old one. */
  #greeted(id: number, version: string): void {
    if (version === VERSION) this.#ofOurVersion.add(id)
    if (version === VERSION || this.#otherVersions.has(version)) return
    this.#otherVersions.add(version)
    this.#watched.warn(
      `workers run version ${version}, this supervisor ${VERSION}: the package was replaced under it; stop and start it`,
    )
  }
}
