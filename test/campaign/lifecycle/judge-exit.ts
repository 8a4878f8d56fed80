// Judges how a supervisor ended: its exit code as docs/cli.md has it, and what it said on the way. Pure.

import type { Exit } from '../../support/supervisor-process.js'
import { type Fault, isWorkerPause } from './journal.js'

/** What no supervisor should ever say. */
const SYMPTOMS = /ILLEGAL_TRANSITION|uncaught error in the primary|Warning: |UnhandledPromise|unexpected: /

export interface EndSeen {
  exit: Exit
  /** Whether its end was asked for at once, so that 1 is the right code. */
  isForced: 'always' | 'maybe' | 'never'
  /** Its log, a JSON object a line. */
  lines: readonly string[]
  faults: readonly Fault[]
}

export const judgeExit = ({ exit, isForced, lines, faults }: EndSeen): string[] => {
  const violations = judgeOutput(lines)
  const allowed = new Set(isForced === 'always' ? [1] : isForced === 'maybe' ? [0, 1] : [0])
  const stopping = lines.findIndex((line) => /":"stopping \(/.test(line))
  const wasKilling = lines.slice(Math.max(0, stopping)).some((line) => line.includes(' gone: killed: '))
  // A worker that could not run could not leave in its time.
  if (wasKilling && faults.some(isWorkerPause)) allowed.add(1)
  if (exit.signal !== null) violations.push(`the supervisor was ended by ${exit.signal}`)
  else if (!allowed.has(exit.code ?? -1)) {
    const wanted = [...allowed].join(' or ')
    violations.push(
      `the supervisor ended with ${exit.code} and not ${wanted}${wasKilling ? ' (it killed a worker)' : ''}`,
    )
  }
  return violations
}

export const judgeOutput = (lines: readonly string[]): string[] =>
  lines.filter((line) => SYMPTOMS.test(line)).map((line) => `the supervisor said: ${line.slice(0, 300)}`)
