// A supervisor whose workers have one exclusive client and do with it what they are told (sends-on-request.js), and an
// upstream in the test's own process that remembers what came. Numbered messages under faults: sender-world.ts.

import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'
import type { WorkerStatus } from '../../src/shared/status.js'
import { eventually, withDeadline } from './deadline.js'
import { type SupervisorProcess, startSupervisor } from './supervisor-process.js'

export interface Outcome {
  level?: string
  code?: string
  message?: string
  at: number
}
export type Message = [data: string | { hex: string }, options: object]

/** Acknowledges `do ID`, and remembers what came. */
export class Upstream {
  readonly got: (string | Buffer)[] = []
  isAccepting = true
  readonly #server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    verifyClient: (_info, answer) => answer(this.isAccepting, 503),
  })
  readonly #sockets = new Set<Socket>()
  readonly #looks = new Set<() => void>()

  constructor(t: Test) {
    this.#server.on('connection', (webSocket, { socket }) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      webSocket.on('error', () => {})
      webSocket.on('message', (data: Buffer, isBinary) => {
        this.got.push(isBinary ? data : data.toString())
        const [, id] = /^do (\w+)$/.exec(data.length < 100 ? data.toString() : '') ?? []
        if (id !== undefined) webSocket.send(`ack ${id}`)
        for (const look of this.#looks) look()
      })
    })
    t.teardown(() => {
      for (const socket of this.#sockets) socket.destroy()
      this.#server.close()
    })
  }

  async listening(): Promise<void> {
    if (this.#server.address() === null) await once(this.#server, 'listening')
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  say(text: string): void {
    for (const client of this.#server.clients) client.send(text)
  }

  stopReading(): void {
    for (const socket of this.#sockets) socket.pause()
  }

  readAgain(): void {
    for (const socket of this.#sockets) socket.resume()
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  count(text: string): number {
    return this.got.filter((each) => each === text).length
  }

  /** Settles when so many messages have come. */
  async received(count: number): Promise<void> {
    let look = (): void => {}
    const enough = new Promise<void>((resolve) => {
      look = () => {
        if (this.got.length >= count) resolve()
      }
    })
    this.#looks.add(look)
    look()
    await withDeadline(enough, { what: `${count} messages`, last: () => `${this.got.length}` })
    this.#looks.delete(look)
  }
}

const isHolder = ({ clients }: WorkerStatus): boolean =>
  clients[0]?.role === 'holder' && clients[0].state === 'open'

export class Shared {
  readonly upstream: Upstream
  readonly supervisor: SupervisorProcess
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-shared-'))

  static async start(t: Test, { workers = 3, options = {} } = {}): Promise<Shared> {
    const upstream = new Upstream(t)
    await upstream.listening()
    const shared = new Shared(t, upstream, workers, options)
    await shared.supervisor.waitUntilReady()
    await shared.roles()
    return shared
  }

  private constructor(t: Test, upstream: Upstream, workers: number, options: object) {
    this.upstream = upstream
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
    this.supervisor = startSupervisor(t, {
      args: ['test/process/fixtures/sends-on-request.js', '-i', String(workers), '--stop-timeout', '2s'],
      env: { FOLDER: this.folder, UPSTREAM: this.upstream.url, OPTIONS: JSON.stringify(options) },
    })
  }

  /** As soon as one is open, and all others know that. */
  async roles(): Promise<{ holder: WorkerStatus; standbys: WorkerStatus[] }> {
    const { workers } = await this.supervisor.waitForStatus(
      ({ workers }) =>
        workers.filter(isHolder).length === 1 &&
        workers.every((worker) => isHolder(worker) || worker.clients[0]?.owner?.epoch != null),
      'one holder, and standbys that know it',
    )
    const holder = workers.find(isHolder)
    if (holder === undefined) throw new Error('no holder')
    return { holder, standbys: workers.filter((worker) => worker !== holder) }
  }

  async ask(slot: number, what: unknown): Promise<Outcome[]> {
    const port = await eventually(
      () => readIfThere(join(this.folder, `${slot}.port`)),
      (text) => text !== '',
      { what: `the port of slot ${slot}` },
    )
    const response = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST',
      body: JSON.stringify(what),
      signal: AbortSignal.timeout(20_000),
    })
    return (await response.json()) as Outcome[]
  }

  /** All of them at once. */
  send(slot: number, ...messages: Message[]): Promise<Outcome[]> {
    return this.ask(slot, [messages])
  }

  incoming(slot: number): string[] {
    return readIfThere(join(this.folder, `${slot}.in`))
      .split('\n')
      .slice(0, -1)
  }
}

const readIfThere = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')

export const slotOf = (worker: WorkerStatus | undefined): number => worker?.slot ?? -1
