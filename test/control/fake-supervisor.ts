// A supervisor without workers, for tests of the socket: what it is asked is recorded, what it answers is given.

import type { AuditReport } from '../../src/audit/audit-report.js'
import type { LogLine } from '../../src/observe/log-buffer.js'
import { LogBuffer } from '../../src/observe/log-buffer.js'
import type { Controllable } from '../../src/primary/controllable.js'
import type { LogLevel } from '../../src/shared/log-level.js'
import type { OperationResult, Progress } from '../../src/shared/progress.js'
import type { SupervisorStatus } from '../../src/shared/status.js'

export const SAMPLE_STATUS: SupervisorStatus = {
  name: 'api',
  pid: process.pid,
  state: 'running',
  generation: 2,
  script: '/srv/app.js',
  startedAt: 1_000,
  health: null,
  relay: null,
  logs: { dropped: 0, level: 'info', file: null },
  workers: [],
}

export const SAMPLE_AUDIT: AuditReport = {
  name: 'api',
  takenAt: 1_000,
  source: 'proc',
  processes: [],
  endpoints: [],
  findings: [],
}

/** 30,000 sockets of one process. */
export const MANY_SOCKETS: AuditReport = {
  ...SAMPLE_AUDIT,
  processes: [
    {
      pid: 10,
      ppid: 9,
      role: 'worker',
      slot: 0,
      generation: 1,
      command: 'node',
      problem: null,
      hasOrigins: true,
      groups: [],
      sockets: Array.from({ length: 30_000 }, (_, fd) => ({
        fd,
        inode: fd + 1,
        kind: 'tcp',
        state: 'established',
        direction: 'outgoing',
        local: '127.0.0.1:40000',
        remote: '127.0.0.1:80',
        path: null,
        endpoint: '127.0.0.1:80',
        client: null,
        at: null,
        inRequest: null,
        webSocket: false,
        ageMs: null,
      })),
    },
  ],
}

export const OK: OperationResult = { ok: true, exitCode: 0, message: 'done', generation: 2, failures: [] }

export const logLine = (text: string): LogLine => ({
  at: 1,
  source: 'worker',
  stream: 'stdout',
  slot: 0,
  pid: 7,
  generation: 1,
  text,
})

type Tell = (progress: Progress) => void

export class FakeSupervisor implements Controllable {
  readonly logs = new LogBuffer()
  logLevel: LogLevel = 'info'
  /** What it was asked, in order. */
  readonly asked: string[] = []
  report: AuditReport = SAMPLE_AUDIT
  answer: () => Promise<SupervisorStatus> = async () => SAMPLE_STATUS
  operate: (tell: Tell) => Promise<OperationResult> = async () => OK

  readonly audits = {
    audit: async (): Promise<AuditReport> => {
      this.asked.push('audit')
      return this.report
    },
    count: async (port: number): Promise<number> => {
      this.asked.push(`count ${port}`)
      return 3
    },
  }

  async status(): Promise<SupervisorStatus> {
    this.asked.push('status')
    return this.answer()
  }

  async reload(tell: Tell = () => {}): Promise<OperationResult> {
    this.asked.push('reload')
    return this.operate(tell)
  }

  async untilStarted(tell: Tell = () => {}): Promise<OperationResult> {
    this.asked.push('started')
    return this.operate(tell)
  }

  async restart(tell: Tell = () => {}): Promise<OperationResult> {
    this.asked.push('restart')
    return this.operate(tell)
  }

  async handOff(client: string, slot: number | null): Promise<OperationResult> {
    return { ok: true, exitCode: 0, message: `${client} to ${slot ?? 'next'}`, generation: 1, failures: [] }
  }

  async scale(workers: number | { by: number }, tell: Tell = () => {}): Promise<OperationResult> {
    this.asked.push(`scale ${JSON.stringify(workers)}`)
    return this.operate(tell)
  }

  async stop({ now = false }: { now?: boolean } = {}, tell: Tell = () => {}): Promise<OperationResult> {
    this.asked.push(now ? 'stop now' : 'stop')
    return this.operate(tell)
  }
}
