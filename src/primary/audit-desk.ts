// Collects what an audit judges: sockets of the tree, what the workers say of theirs, records, orphans; and looks once in a
// while at how many connections there are, so that a slow leak shows. What is concluded from it is src/audit/findings.ts.

import { setTimeout as delay } from 'node:timers/promises'
import type { Member, RequestConnect } from '../audit/audit-facts.js'
import { gatherFacts } from '../audit/audit-looks.js'
import { type AuditReport, makeReport } from '../audit/audit-report.js'
import { countPort } from '../audit/count-port.js'
import { processTree } from '../audit/process-tree.js'
import type { Snapshot } from '../audit/socket-table.js'
import { takeSnapshot } from '../audit/take-snapshot.js'
import { connectionsByAddress } from '../audit/tree-sockets.js'
import { TrendHistory } from '../audit/trend.js'
import type { Finding } from '../shared/finding.js'
import type { ClientReport } from '../shared/resources.js'
import { runtimeFolder } from '../shared/runtime-folder.js'
import type { Settings } from '../shared/settings.js'
import type { SocketOrigins } from '../shared/socket-origins.js'
import { EndpointNames } from './endpoint-names.js'
import { findOrphans } from './find-orphans.js'
import { staleRecords } from './stale-records.js'

export interface AuditedWorker {
  id: number
  pid: number
  slot: number
  generation: number
}

export interface AuditDeskOptions {
  name: string
  /** Of the release in force. */
  settings: () => Pick<Settings, 'connectionBudget' | 'auditInterval'>
  /** Those that have a process. */
  workers: () => AuditedWorker[]
  /** What a worker says of the sockets that it opened; null where it says nothing in time. */
  ask: (workerId: number) => Promise<SocketOrigins | null>
  /** What this process knows of its own. */
  own: () => SocketOrigins | null
  clients: () => ClientReport[]
  connects: () => RequestConnect[]
  forkFindings: () => readonly Finding[]
}

/** Ports that somebody has listened on. A service with more has forgotten the first ones. */
const MOST_PORTS = 1_000

export class AuditDesk {
  readonly #options: AuditDeskOptions
  readonly #history = new TrendHistory()
  readonly #names = new EndpointNames()
  readonly #listenedPorts = new Set<number>()
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<AuditReport> | null = null

  constructor(options: AuditDeskOptions) {
    this.#options = options
    this.#lookLater()
  }

  /** Whoever asks while one is under way gets that one. */
  audit(): Promise<AuditReport> {
    this.#running ??= this.#audit().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Sockets of the tree with that port at either end, as `lsof -i :PORT` lists them. */
  async count(port: number): Promise<number> {
    return countPort(await this.#look([]), port)
  }

  /** A worker listens at `:8080`. What comes in there was accepted, also when nobody listens any more. */
  listening(address: string): void {
    const [, port] = /:(\d+)$/.exec(address) ?? []
    if (port !== undefined && this.#listenedPorts.size < MOST_PORTS) this.#listenedPorts.add(Number(port))
  }

  end(): void {
    this.#ending.abort()
    clearTimeout(this.#timer)
  }

  async #audit(): Promise<AuditReport> {
    const { name, connects, forkFindings } = this.#options
    const { connectionBudget: budgets } = this.#options.settings()
    const folder = runtimeFolder(process.env)
    const orphans = await findOrphans(name, folder, new Set(await processTree(process.pid)))
    const facts = await gatherFacts({
      look: () => this.#look(orphans),
      ask: (look) => this.#ask(look, new Set(orphans)),
      more: async () => ({
        listenedPorts: this.#listenedPorts,
        names: await this.#names.of(Object.keys(budgets)),
        budgets,
        trends: this.#history.trends(),
        records: staleRecords(folder, (identity) => this.#isAwaited(identity)),
        connects: connects(),
        forkFindings: forkFindings(),
      }),
      pause: (ms) => delay(ms),
    })
    return makeReport(name, facts)
  }

  async #look(more: readonly number[]): Promise<Snapshot> {
    return takeSnapshot([...(await processTree(process.pid)), ...more], { signal: this.#ending.signal })
  }

  async #ask({ processes }: Snapshot, orphans: ReadonlySet<number>): Promise<Map<number, Member>> {
    const workers = new Map(this.#options.workers().map((worker) => [worker.pid, worker]))
    const members = processes.map(async ({ pid }): Promise<[number, Member]> => {
      const worker = workers.get(pid)
      if (worker !== undefined) {
        const { slot, generation, id } = worker
        return [pid, { pid, role: 'worker', slot, generation, origins: await this.#options.ask(id) }]
      }
      const isPrimary = pid === process.pid
      const role = isPrimary ? 'primary' : orphans.has(pid) ? 'orphan' : 'descendant'
      const origins = isPrimary ? this.#options.own() : null
      return [pid, { pid, role, slot: null, generation: null, origins }]
    })
    return new Map(await Promise.all(members))
  }

  #isAwaited(identity: string): boolean {
    return this.#options
      .clients()
      .some((client) => client.role === 'standby' && client.state === 'waiting' && client.identity === identity)
  }

  #lookLater(): void {
    const { auditInterval } = this.#options.settings()
    // Asked again: a new release may want it.
    const wait = auditInterval === 0 ? RECONSIDERED_AFTER : auditInterval
    this.#timer = setTimeout(() => void this.#addToHistory(auditInterval !== 0), wait)
    this.#timer.unref()
  }

  async #addToHistory(isWanted: boolean): Promise<void> {
    try {
      if (isWanted) {
        const look = await this.#look([])
        this.#history.add(look.takenAt, connectionsByAddress(look, this.#listenedPorts))
      }
    } catch {
      // Without a way to read sockets there is no history; `supervisor audit` says why.
    }
    if (!this.#ending.signal.aborted) this.#lookLater()
  }
}

const RECONSIDERED_AFTER = 60_000
