// The test's side of fixtures/primary.js: starts it, records what it reports, and waits for things with a deadline.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { isAlive, processIdentity } from '../../../src/shared/process-identity.js'
import type { PrimaryMessage, WorkerMessage } from '../../../src/shared/protocol.js'
import { cleanEnv, uninstrumentChildren } from '../../support/clean-children.js'

uninstrumentChildren()

export interface Report {
  id: number
  pid: number
  event: 'forked' | 'listening' | 'appMessage' | 'disconnect' | 'exit' | 'output' | 'frame'
  port: number
  message: WorkerMessage | unknown
  code: number | null
  signal: string | null
  name: string
  text: string
}

const PATIENCE = 15_000

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

export class Primary {
  readonly process: ChildProcess
  readonly reports: Report[] = []
  readonly #watchers = new Set<() => void>()

  constructor(
    t: Test,
    script: string,
    options: { readiness?: string; nodeArgs?: string[]; env?: NodeJS.ProcessEnv } = {},
  ) {
    this.process = fork(
      fileURLToPath(new URL('../fixtures/primary.js', import.meta.url)),
      [fixture(script), options.readiness ?? 'auto', ...(options.nodeArgs ?? [])],
      { execArgv: [], env: cleanEnv(options.env), stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    )
    this.process.on('message', (report: Report) => {
      this.reports.push(report)
      for (const watcher of this.#watchers) watcher()
    })
    t.teardown(async () => {
      const pids = this.reports
        .filter(({ event }) => event === 'forked')
        .map(({ pid }) => processIdentity(pid))
      this.process.kill('SIGKILL')
      for (const worker of pids) if (isAlive(worker)) process.kill(worker.pid, 'SIGKILL')
      if (!t.passing()) t.comment(this.output)
    })
  }

  get output(): string {
    return this.reports
      .filter(({ event }) => event === 'output')
      .map(({ text }) => text)
      .join('')
  }

  /** The first report that fits, waited for. */
  async seen(what: string, fits: (report: Report) => boolean): Promise<Report> {
    const found = await this.until(what, () => this.reports.find(fits))
    return found
  }

  async until<T>(what: string, look: () => T | undefined | false): Promise<T> {
    const deadline = Date.now() + PATIENCE
    for (;;) {
      const found = look()
      if (found !== undefined && found !== false) return found
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no ${what} within ${PATIENCE} ms; output: ${this.output}`)),
          Math.max(0, deadline - Date.now()),
        )
        const watcher = (): void => {
          clearTimeout(timer)
          this.#watchers.delete(watcher)
          resolve()
        }
        this.#watchers.add(watcher)
      })
    }
  }

  frames<Type extends WorkerMessage['type']>(
    id: number,
    type: Type,
  ): Extract<WorkerMessage, { type: Type }>[] {
    return this.reports
      .filter((report) => report.id === id && report.event === 'frame')
      .map(({ message }) => message as WorkerMessage)
      .filter((message): message is Extract<WorkerMessage, { type: Type }> => message.type === type)
  }

  frame<Type extends WorkerMessage['type']>(
    id: number,
    type: Type,
  ): Promise<Extract<WorkerMessage, { type: Type }>> {
    return this.until(`${type} of worker ${id}`, () => this.frames(id, type)[0])
  }

  /** Forks a worker and waits until its runtime is there. */
  async fork(): Promise<{ id: number; pid: number }> {
    const known = this.reports.filter(({ event }) => event === 'forked').length
    this.#say({ what: 'fork' })
    const { id, pid } = await this.until(
      'fork',
      () => this.reports.filter(({ event }) => event === 'forked')[known],
    )
    await this.frame(id, 'hello')
    return { id, pid }
  }

  /** Forks a worker and waits for its server. */
  async serve(): Promise<{ id: number; pid: number; port: number }> {
    const { id, pid } = await this.fork()
    const { port } = await this.seen(`server of worker ${id}`, (r) => r.id === id && r.event === 'listening')
    return { id, pid, port }
  }

  order(id: number, message: PrimaryMessage): void {
    this.#say({ what: 'order', id, message })
  }

  drain(id: number, budget = 10_000): void {
    this.order(id, { type: 'drain', reason: 'reload', budget })
  }

  tellApp(id: number, message: unknown): void {
    this.#say({ what: 'app', id, message })
  }

  /** From now on barriers are not answered, as if sockets were still on their way. */
  holdBarriers(): void {
    this.#say({ what: 'holdBarriers' })
  }

  releaseBarriers(): void {
    this.#say({ what: 'releaseBarriers' })
  }

  exit(id: number): Promise<Report> {
    return this.seen(`exit of worker ${id}`, (report) => report.id === id && report.event === 'exit')
  }

  said(id: number, text: string): Promise<Report> {
    return this.seen(
      `"${text}" from worker ${id}`,
      (r) => r.id === id && r.event === 'output' && r.text.includes(text),
    )
  }

  #say(message: { what: string; id?: number; message?: unknown }): void {
    this.process.send(message)
  }
}
