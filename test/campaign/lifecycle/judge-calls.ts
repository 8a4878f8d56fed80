// Judges the commands of a round: their exit codes as docs/cli.md has them, their bounds, what they said. Pure.

import { type Call, type Fault, isDisturbed, isWorkerPause } from './journal.js'
import type { ReleaseKind } from './plan.js'

/** `status` never takes longer: 5 s for the answer, and a process to start (ms). */
const STATUS_BOUND = 6_000
const NOT_RUNNING = 3
const ROLLED_BACK = 5

export interface CallsSeen {
  calls: readonly Call[]
  faults: readonly Fault[]
  endedAt: number
  /** How many processes wanted each CPU, at least 1: other work on the machine makes ours slow. */
  slowness: number
  /** Kinds of the releases that counted at some time within. */
  kindsWithin(from: number, to: number): ReadonlySet<ReleaseKind>
}

export const judgeCalls = (seen: CallsSeen): string[] => seen.calls.flatMap((call) => judgeCall(call, seen))

const judgeCall = (call: Call, seen: CallsSeen): string[] => {
  const { args, code, signal, ms, stderr } = call
  const named = args.join(' ')
  const allowed = allowedCodes(call, seen)
  const violations: string[] = []
  if (code === null || !allowed.has(code))
    violations.push(
      `${named} ended with ${signal ?? code} and not ${[...allowed].join(' or ')}: ${firstLine(stderr)}`,
    )
  if (args[0] === 'status' && ms > STATUS_BOUND * seen.slowness)
    violations.push(`${named} took ${ms.toFixed(0)} ms`)
  if (/^\s+at /m.test(stderr)) violations.push(`${named} printed a stack: ${firstLine(stderr)}`)
  return violations
}

const allowedCodes = (call: Call, seen: CallsSeen): Set<number> => {
  const { args, from, to } = call
  const [command] = args
  const isAtEnd = to >= seen.endedAt
  const allowed = new Set<number>()
  if (command === 'stop') {
    const isNow = args.includes('--now')
    // A supervisor that killed a worker ended by force; that itself is judged by its own exit.
    if (isNow || isDisturbed(seen.faults, 0, to)) allowed.add(1)
    if (!isNow) allowed.add(0)
    return allowed
  }
  if (isAtEnd) allowed.add(NOT_RUNNING)
  const isUnclear = isAtEnd || isDisturbed(seen.faults, from, to)
  if (command === 'reload' || command === 'restart')
    addReleaseCodes(allowed, seen.kindsWithin(from, to), isUnclear, seen.faults.some(isWorkerPause))
  else {
    allowed.add(0)
    if (command === 'scale' && isUnclear) allowed.add(ROLLED_BACK)
  }
  return allowed
}

/** Of what brings a release: it may have found any of those that counted in its time. */
const addReleaseCodes = (
  allowed: Set<number>,
  kinds: ReadonlySet<ReleaseKind>,
  isUnclear: boolean,
  isWorkerPaused: boolean,
): void => {
  if (kinds.has('good')) allowed.add(0)
  // A worker that is stopped between its readiness and its death dies too late to be noticed in time.
  if (kinds.has('exitsAfterReady') && isWorkerPaused) allowed.add(0)
  if (isUnclear || [...kinds].some((kind) => kind !== 'good')) allowed.add(ROLLED_BACK)
}

const firstLine = (text: string): string => text.trim().split('\n', 1)[0] ?? ''
