// From a client to a server of other people: directly, or through a proxy. Servers may be killed and started again
// behind the same URL.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ArrivalLog, RecordingServer } from '../../support/recording-server.js'
import { type ProxyKind, ProxyProcess } from './proxy-process.js'
import type { Stack } from './stacks.js'

export class Way {
  readonly log = new ArrivalLog()
  readonly proxy: ProxyProcess | null
  readonly #stack: Stack
  readonly #socket: string | null
  #server: RecordingServer | null = null

  private constructor(stack: Stack, socket: string | null, proxy: ProxyProcess | null) {
    this.#stack = stack
    this.#socket = socket
    this.proxy = proxy
  }

  static async open(
    t: Test,
    stack: Stack,
    kind: ProxyKind | null,
    patience: number | null = null,
  ): Promise<Way> {
    let folder: string | undefined
    if (kind !== null) {
      folder = mkdtempSync(join(tmpdir(), 'forksafe-stack-'))
      t.teardown(() => rmSync(folder as string, { recursive: true }))
    }
    const socket = folder === undefined ? null : join(folder, 'socket')
    const proxy =
      kind === null || socket === null ? null : await ProxyProcess.start(t, kind, { socket, patience })
    const way = new Way(stack, socket, proxy)
    t.teardown(() => way.kill())
    await way.start()
    return way
  }

  /** Where clients dial; a direct server has another port after each start. */
  get url(): string {
    return this.proxy?.url ?? this.#server?.url ?? 'ws://127.0.0.1:1/'
  }

  async start(): Promise<void> {
    // A killed server leaves its unix socket behind.
    if (this.#socket !== null) rmSync(this.#socket, { force: true })
    const at = this.#socket === null ? [] : [this.#socket]
    this.#server = await RecordingServer.start([...this.#stack.command, ...at], this.log)
  }

  /** By SIGKILL; settles when all that it wrote down is in the log. */
  async kill(): Promise<void> {
    await this.#server?.kill()
    this.#server = null
  }
}
