// Runs the real command line once, to its end. What starts a supervisor and keeps it is supervisor-process.ts.

import { spawn } from 'node:child_process'
import { coveredEnv } from './clean-children.js'

export interface CliResult {
  /** null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  ms: number
}

export interface CliOptions {
  /** FORKSAFE_HOME: the runtime folder. */
  home: string
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What it reads; without it there is nothing to read. */
  stdin?: string | Buffer
  /** ms, default 60 000; past it the command is killed and the call rejects with what it had printed. */
  timeout?: number
}

/** The built command line, as the package's `bin` names it. Tests run in the root of the package. */
export const CLI = `${process.cwd()}/bin/supervisor.js`

export const runCli = (args: readonly string[], options: CliOptions): Promise<CliResult> => {
  const { home, cwd = process.cwd(), env = {}, stdin, timeout = 60_000 } = options
  const begun = performance.now()
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd,
    env: coveredEnv({ FORKSAFE_HOME: home, NO_COLOR: '1', ...env }),
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  // A command that reads nothing of it is no failure.
  child.stdin?.on('error', () => {}).end(stdin)
  const output = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(
        new Error(
          `supervisor ${args.join(' ')} did not end within ${timeout} ms; it printed:\n${output.stdout}${output.stderr}`,
        ),
      )
    }, timeout)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, ...output, ms: performance.now() - begun })
    })
  })
}
