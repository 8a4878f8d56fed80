// A supervisor as the first process of a pid namespace, or below an init there, as in a container: with unshare(1) of
// util-linux, which takes root. The test itself stays outside and sees everybody, by other pids.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Test } from 'tap'
import { eventually } from './deadline.js'
import { descendantsOf, isZombie, killProcesses, type ProcessRow, processTable } from './process-tree.js'
import { CLI } from './run-cli.js'
import { type StartOptions, type SupervisorProcess, startSupervisor } from './supervisor-process.js'

const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child', '--']
export const TINI = '/usr/bin/tini'

const canUnshare = (): boolean => {
  try {
    execFileSync('unshare', [...UNSHARE, 'true'], { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

/** For tests of tap: skips by name where there are no namespaces to be had. */
export const needsPidNamespace = (): { skip?: string } =>
  canUnshare() ? {} : { skip: 'no pid namespace can be made here: unshare of util-linux, as root' }

export const needsTini = (): { skip?: string } =>
  existsSync(TINI) ? needsPidNamespace() : { skip: "Debian's package tini is not installed" }

export interface ContainedOptions extends Omit<StartOptions, 'args' | 'program' | 'executable'> {
  /** What runs before the supervisor, such as an init. Default nothing: the supervisor is PID 1. */
  init?: readonly string[]
  /** Arguments of `supervisor start`. */
  args?: readonly string[]
  /** Another program, with its arguments. */
  command?: readonly string[]
}

export class ContainedSupervisor {
  /** As seen from here: the process that made the namespace, which is not in it. */
  readonly outer: SupervisorProcess

  constructor(t: Test, { init = [], args = [], command, ...options }: ContainedOptions) {
    const program = [...UNSHARE, ...init, ...(command ?? [process.execPath, CLI, 'start', ...args])]
    this.outer = startSupervisor(t, { ...options, executable: 'unshare', program })
    // Of a test that failed: unshare itself passes no signal on.
    t.teardown(() => {
      const first = processTable().find(({ ppid }) => ppid === this.outer.pid)
      if (first !== undefined) killProcesses([first])
    })
  }

  /** PID 1 of the namespace. */
  async first(): Promise<ProcessRow> {
    const found = await eventually(
      () => processTable().find(({ ppid }) => ppid === this.outer.pid),
      (row) => row !== undefined,
      { what: 'the namespace to have its first process' },
    )
    if (found === undefined) throw new Error('the namespace has no process')
    return found
  }

  /** As `docker stop` does: to PID 1 alone. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill((await this.first()).pid, signal)
  }

  /** Everybody in it, zombies included. */
  async inside(): Promise<ProcessRow[]> {
    const first = await this.first()
    return [first, ...descendantsOf(first.pid)]
  }

  async zombies(): Promise<ProcessRow[]> {
    return (await this.inside()).filter(isZombie)
  }
}
