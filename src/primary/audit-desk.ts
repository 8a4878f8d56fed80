// Collects what an audit judges: sockets of the tree, what the workers say of theirs, records, orphans; and looks once in a
// while at how many connections there are, so that a slow leak shows. What is concluded from it is src/audit/findings.ts.

import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from '../audit/audit-facts.js'
import { lookAndJudge } from '../audit/audit-looks.js'
import { type AuditReport, makeReport } from '../audit/audit-report.js'
import { countPort } from '../audit/count-port.js'
import { processTree } from '../audit/process-tree.js'
import { Slices } from '../audit/slices.js'
import type { Snapshot } from '../audit/socket-table.js'
import { inSlices } from '../audit/steps.js'
import { takeSnapshot } from '../audit/take-snapshot.js'
import { connectionsByAddress, portsListenedOn } from '../audit/tree-sockets.js'
import { TrendHistory } from '../audit/trend.js'
import type { AuditedWorker } from '../fork/fork-audit.js'
import type { Finding } from '../shared/finding.js'
import type { PrimaryMessage, WorkerReport } from '../shared/protocol.js'
import { resourcesNewestFirst } from '../shared/resources.js'
import { runtimeFolder } from '../shared/runtime-folder.js'
import type { Settings } from '../shared/settings.js'
import type { SocketOrigins } from '../shared/socket-origins.js'
import { EndpointNames } from './endpoint-names.js'
import { findOrphans } from './find-orphans.js'
import { OwnSockets } from './own-sockets.js'
import { SocketAsks } from './socket-asks.js'
import { staleRecords } from './stale-records.js'
import type { StatusReader } from './status-reader.js'

export interface AuditDeskOptions {
  name: string
  /** Of the release in force. */
  settings: () => Pick<Settings, 'connectionBudget' | 'auditInterval'>
  /** Those that have a process. */
  workers: () => AuditedWorker[]
  tell: (workerId: number, message: PrimaryMessage) => void
  /** What the workers report of themselves, by pid. */
  status: Pick<StatusReader, 'refresh' | 'reports'>
  forkFindings: () => readonly Finding[]
}

/** Ports that somebody has listened on. A service with more has forgotten the first ones. */
const MOST_PORTS = 1_000

export class AuditDesk {
  readonly #options: AuditDeskOptions
  readonly #history = new TrendHistory()
  readonly #names = new EndpointNames()
  readonly #listenedPorts = new Set<number>()
  readonly #asks: SocketAsks
  readonly #own = new OwnSockets()
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<AuditReport> | null = null

  constructor(options: AuditDeskOptions) {
    this.#options = options
    this.#asks = new SocketAsks(options.tell)
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

  /** A worker's answer. */
  answered(id: number, sockets: SocketOrigins): void {
    this.#asks.answered(id, sockets)
  }

  /** A worker listens at `:8080`. What comes in there was accepted, also when nobody listens any more. */
  listening(address: string): void {
    const [, port] = /:(\d+)$/.exec(address) ?? []
    if (port !== undefined) this.#listens(Number(port))
  }

  end(): void {
    this.#ending.abort()
    this.#own.end()
    clearTimeout(this.#timer)
  }

  async #audit(): Promise<AuditReport> {
    const { name, forkFindings, status } = this.#options
    const { connectionBudget: budgets } = this.#options.settings()
    const folder = runtimeFolder(process.env)
    const tree = new Set(await processTree(process.pid))
    const workers = new Set(this.#options.workers().map(({ pid }) => pid))
    const orphans = await findOrphans(name, folder, tree, workers)
    const slices = new Slices(this.#ending.signal)
    const audited = await lookAndJudge(
      {
        look: () => this.#look(orphans),
        ask: (look) => this.#ask(look, new Set(orphans)),
        more: async () => {
          const [names] = await Promise.all([this.#names.of(Object.keys(budgets)), status.refresh()])
          const reports = status.reports()
          return {
            listenedPorts: this.#listenedPorts,
            names,
            budgets,
            trends: this.#history.trends(),
            records: staleRecords(folder, (identity) => isAwaited(identity, reports)),
            connects: [...reports].flatMap(([pid, { requestGuard = [] }]) =>
              requestGuard.map((connect) => ({ pid, ...connect })),
            ),
            forkFindings: forkFindings(),
            resources: openResources(),
          }
        },
        pause: (ms) => delay(ms),
      },
      slices,
    )
    return inSlices(makeReport(name, audited), slices)
  }

  #listens(port: number): void {
    if (this.#listenedPorts.size < MOST_PORTS) this.#listenedPorts.add(port)
  }

  async #look(more: readonly number[]): Promise<Snapshot> {
    const pids = new Set([...(await processTree(process.pid)), ...more])
    const look = await takeSnapshot([...pids], { signal: this.#ending.signal })
    // Who listens now may have closed its listener in the next look, and still have clients.
    for (const port of portsListenedOn(look)) this.#listens(port)
    return look
  }

  async #ask({ processes }: Snapshot, orphans: ReadonlySet<number>): Promise<Map<number, Member>> {
    const workers = new Map(this.#options.workers().map((worker) => [worker.pid, worker]))
    const members = processes.map(async ({ pid }): Promise<[number, Member]> => {
      const worker = workers.get(pid)
      if (worker !== undefined) {
        const { slot, generation, id } = worker
        return [pid, { pid, role: 'worker', slot, generation, origins: await this.#asks.ask(id) }]
      }
      const isPrimary = pid === process.pid
      const role = isPrimary ? 'primary' : orphans.has(pid) ? 'orphan' : 'descendant'
      const origins = isPrimary ? this.#own.report() : null
      return [pid, { pid, role, slot: null, generation: null, origins }]
    })
    return new Map(await Promise.all(members))
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

const openResources = (): string[] =>
  resourcesNewestFirst().flatMap((resource) => (resource.isOpen() ? [resource.name] : []))

const isAwaited = (identity: string, reports: ReadonlyMap<number, WorkerReport>): boolean =>
  [...reports.values()].some(({ clients }) =>
    clients.some(
      (client) => client.role === 'standby' && client.state === 'waiting' && client.identity === identity,
    ),
  )
