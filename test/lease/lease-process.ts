// Real processes that take a lease (fixtures/takes-a-lease.js), with a runtime folder for one test. All are ended with it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { TakingRules } from '../../src/lease/taking-steps.js'
import type { ProcessIdentity } from '../../src/shared/process-identity.js'
import { cleanEnv } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'

const FIXTURE = resolve('test/lease/fixtures/takes-a-lease.js')

export interface TakerOptions {
  hasKernelLock?: boolean
  rules?: Partial<TakingRules>
  supervisor?: ProcessIdentity & { name: string }
  env?: NodeJS.ProcessEnv
  /** What runs node. */
  wrapper?: readonly string[]
  /** Another node than the one that runs this. */
  node?: string
}

/** A runtime folder of its own, in a folder that is removed when the test is over. */
export const newHome = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-lease-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'run')
}

/** What is in the folders of all records. */
export const recordFiles = (home: string): string[] =>
  listing(join(home, 'leases'))
    .filter((name) => name.includes('/'))
    .map((name) => name.slice(name.indexOf('/') + 1))
    .sort()

const listing = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []

export class LeaseProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  #onLine = (): void => {}

  constructor(t: Test, home: string, options: TakerOptions = {}) {
    const { hasKernelLock = true, rules = {}, supervisor = null, env, wrapper = [] } = options
    const { node = process.execPath } = options
    const [command = node, ...args] = [...wrapper, node, FIXTURE]
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: cleanEnv({
        FORKSAFE_HOME: home,
        RULES: JSON.stringify(rules),
        SUPERVISOR: JSON.stringify(supervisor),
        ...(hasKernelLock ? {} : { FORKSAFE_NO_KERNEL_LOCK: '1' }),
        ...env,
      }),
    })
    this.#child.stdin?.on('error', () => {})
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.lines.push(line)
        this.#onLine()
      })
    }
    t.teardown(() => this.kill())
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** One that has said what it was to say, such as `holds`. */
  static async holding(t: Test, home: string, options: TakerOptions = {}): Promise<LeaseProcess> {
    const taker = await LeaseProcess.ready(t, home, options)
    taker.go()
    await taker.says(/^holds/)
    return taker
  }

  static async ready(t: Test, home: string, options: TakerOptions = {}): Promise<LeaseProcess> {
    const taker = new LeaseProcess(t, home, options)
    await taker.says(/^ready/)
    return taker
  }

  /** Takes, or gives back when it has. */
  go(): void {
    this.#child.stdin?.write('\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Settles when it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  async ended(): Promise<string | number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await withDeadline(once(this.#child, 'exit'), { what: `taker ${this.pid} to end` })
    }
    return this.#child.signalCode ?? this.#child.exitCode
  }

  says(pattern: RegExp, timeout = 10_000): Promise<string> {
    const found = new Promise<string>((resolve) => {
      this.#onLine = () => {
        const line = this.lines.find((line) => pattern.test(line))
        if (line !== undefined) resolve(line)
      }
      this.#onLine()
    })
    return withDeadline(found, {
      what: `taker ${this.pid} to say ${pattern}`,
      timeout,
      last: () => this.lines.join('; '),
    })
  }
}
