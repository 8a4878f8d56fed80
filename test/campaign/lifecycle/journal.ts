// What a round takes down, as the judges read it. Times are performance.now() of the campaign's process.

import type { CliResult } from '../../support/run-cli.js'

/** A command that was run to its end. */
export interface Call extends CliResult {
  args: readonly string[]
  from: number
  to: number
}

/** A signal from outside to a process that had not asked for it. */
export interface Fault {
  at: number
  /** When a pause (SIGSTOP) was to end; else `at`. */
  until: number
  pid: number
  isPrimary: boolean
  signal: NodeJS.Signals
}

/** A fault weighs on what happens up to this time (ms) after it: crashed workers have to be started again. */
const AFTERMATH = 1_500

/** Whether a process was treated unkindly in that time, or shortly before. */
export const isDisturbed = (faults: readonly Fault[], from: number, to: number): boolean =>
  faults.some(({ at, until }) => at <= to && until + AFTERMATH >= from)

export const isWorkerPause = ({ signal, isPrimary }: Fault): boolean => signal === 'SIGSTOP' && !isPrimary
