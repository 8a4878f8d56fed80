// Puts together what `supervisor status` shows: the core's picture, the workers' own reports, figures of the kernel.

import { forgetUsageHistory, forgetUsageOf, resourceUsage } from '../observe/resource-usage.js'
import type { PrimaryMessage, WorkerReport } from '../shared/protocol.js'
import type { WorkerRole } from '../shared/relay-role.js'
import type { LogStatus, RelayPlace, SupervisorStatus, WorkerStatus } from '../shared/status.js'
import type { SupervisorCore } from './supervisor-core.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Slot } from './worker-pool.js'

/** How long a worker has to answer with a fresh report, in ms; a silent one shows its last known figures. */
const REPORT_TIMEOUT = 250

export interface StatusReaderOptions {
  core: SupervisorCore
  name: string
  script: () => string
  health: string | null
  relay: RelayPlace | null
  roleOf: (slot: number) => WorkerRole
  tell: (id: number, message: PrimaryMessage) => void
  logs: () => LogStatus
}

export class StatusReader {
  readonly #core: SupervisorCore
  readonly #name: string
  readonly #script: () => string
  readonly #health: string | null
  readonly #relay: StatusReaderOptions['relay']
  readonly #roleOf: StatusReaderOptions['roleOf']
  readonly #tell: StatusReaderOptions['tell']
  readonly #logs: StatusReaderOptions['logs']
  readonly #startedAt = Date.now()
  readonly #reports = new Map<number, WorkerReport>()
  readonly #asked = new Map<number, () => void>()
  #lastQuestion = 0

  constructor({ core, name, script, health, relay, roleOf, tell, logs }: StatusReaderOptions) {
    this.#core = core
    this.#name = name
    this.#script = script
    this.#health = health
    this.#relay = relay
    this.#roleOf = roleOf
    this.#tell = tell
    this.#logs = logs
  }

  reported(workerId: number, question: number | null, report: WorkerReport): void {
    this.#reports.set(workerId, report)
    if (question === null) return
    this.#asked.get(question)?.()
    this.#asked.delete(question)
  }

  forget(workerId: number): void {
    this.#reports.delete(workerId)
    const pid = this.#core.pool.get(workerId)?.pid
    if (pid != null) forgetUsageOf(pid)
  }

  end(): void {
    forgetUsageHistory()
  }

  /** Asks the workers for new reports, for at most 250 ms. */
  async refresh(): Promise<void> {
    const live = this.#core.pool.live.filter(({ pid }) => pid !== null)
    await Promise.all(live.map(({ id }) => this.#ask(id)))
  }

  /** The last reports, by the pid of the worker. */
  reports(): Map<number, WorkerReport> {
    return new Map(
      this.#core.pool.live.flatMap(({ id, pid }): [number, WorkerReport][] => {
        const report = this.#reports.get(id)
        return report === undefined || pid === null ? [] : [[pid, report]]
      }),
    )
  }

  async read(): Promise<SupervisorStatus> {
    const { pool } = this.#core
    const [usage] = await Promise.all([
      resourceUsage(pool.live.flatMap(({ pid }) => (pid === null ? [] : [pid]))),
      this.refresh(),
    ])
    const rows = pool.live.map((handle) => this.#workerRow(handle, pool.slot(handle.slot), usage))
    const waiting = pool.slots
      .filter((slot) => slot.serving === null && slot.nextStartAt !== null)
      .map((slot) => waitingRow(slot, this.#roleOf(slot.index)))
    return {
      name: this.#name,
      pid: process.pid,
      state: this.#core.state,
      generation: this.#core.generation,
      script: this.#script(),
      startedAt: this.#startedAt,
      health: this.#health,
      relay: this.#relay,
      logs: this.#logs(),
      workers: [...rows, ...waiting].sort((a, b) => a.slot - b.slot || a.id - b.id),
    }
  }

  #ask(workerId: number): Promise<void> {
    const id = ++this.#lastQuestion
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id)
        resolve()
      }, REPORT_TIMEOUT)
      this.#asked.set(id, () => {
        clearTimeout(timer)
        resolve()
      })
      this.#tell(workerId, { type: 'askReport', id })
    })
  }

  #workerRow(
    handle: WorkerHandle,
    slot: Slot | undefined,
    usage: Awaited<ReturnType<typeof resourceUsage>>,
  ): WorkerStatus {
    const figures = handle.pid === null ? undefined : usage.get(handle.pid)
    const report = this.#reports.get(handle.id)
    return {
      slot: handle.slot,
      role: this.#roleOf(handle.slot),
      id: handle.id,
      pid: handle.pid,
      state: handle.state,
      generation: handle.generation,
      restarts: slot?.restarts ?? 0,
      lastExit: slot?.lastExit ?? null,
      nextStartAt: null,
      overLimit: handle.overLimit,
      uptimeMs: Math.round(performance.now() - handle.askedAt),
      rssBytes: figures?.rssBytes ?? null,
      cpuPercent: figures?.cpuPercent ?? null,
      eventLoopDelayMs: report?.eventLoopDelayMs ?? null,
      clients: report?.clients ?? [],
      connectsInRequests: report?.requestGuard ?? [],
    }
  }
}

const waitingRow = (slot: Slot, role: WorkerRole): WorkerStatus => ({
  slot: slot.index,
  role,
  id: 0,
  pid: null,
  state: 'waiting',
  generation: slot.generation,
  restarts: slot.restarts,
  lastExit: slot.lastExit,
  nextStartAt:
    slot.nextStartAt === null ? null : Math.round(Date.now() + slot.nextStartAt - performance.now()),
  overLimit: null,
  uptimeMs: 0,
  rssBytes: null,
  cpuPercent: null,
  eventLoopDelayMs: null,
  clients: [],
  connectsInRequests: [],
})
