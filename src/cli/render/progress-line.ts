// An event of a long operation as one plain line, aligned so that lines of workers stand under each other.

import { formatDuration } from '../../shared/duration.js'
import { describeBreach } from '../../shared/limits.js'
import { printable } from '../../shared/printable.js'
import type { LeaseRef, Progress, WorkerFailure, WorkerRef } from '../../shared/progress.js'
import { formatSeconds } from './figures.js'

/** Null for an event that this version does not know: a newer supervisor may tell more. */
export const progressLine = (progress: Progress): string | null => {
  switch (progress.event) {
    case 'workerStarting':
      return workerLine(progress, 'starting')
    case 'workerReady':
      return workerLine(progress, 'ready', formatSeconds(progress.ms))
    case 'workerDraining':
      return workerLine(progress, 'draining', `for ${printable(progress.reason)}`)
    case 'workerExited':
      return workerLine(progress, progress.expected ? 'gone' : 'died', printable(progress.reason))
    case 'workerOverLimit':
      return workerLine(progress, 'limit', describeBreach(progress))
    case 'workerWaiting':
      return `worker ${progress.slot}  waiting   ${formatSeconds(progress.ms)}  ${printable(progress.reason)}`
    case 'leaseAcquired':
      return workerLine(progress, 'holds', leaseName(progress))
    case 'leaseHandedOff': {
      const { fromSlot, gapMs } = progress
      return workerLine(progress, 'holds', `${leaseName(progress)}, from worker ${fromSlot}, gap ${gapMs} ms`)
    }
    case 'leaseLost':
      return workerLine(progress, 'let go', `${leaseName(progress)}: ${printable(progress.reason)}`)
    case 'forkFinding':
      return `${printable(progress.who)}  ${printable(progress.what)}`
    case 'reloading':
      return `rolling restart of ${count(progress.slots.length, 'worker')} to generation ${progress.generation}`
    case 'restarting':
      return `restart of ${count(progress.workers, 'worker')} with generation ${progress.generation}`
    case 'scaling':
      return `scaling from ${count(progress.from, 'worker')} to ${progress.to}`
    case 'stopping':
      return stoppingLine(progress)
    case 'draining':
      return `draining within ${formatDuration(progress.budget)}`
    case 'reloaded':
    case 'reloadFailed':
    case 'restarted':
    case 'restartFailed':
    case 'scaled':
    case 'scaleFailed':
    case 'stopped':
      // The result that follows says it.
      return null
    default:
      return null
  }
}

export const failureLine = ({ slot, pid, reason }: WorkerFailure): string =>
  `  worker ${slot}${pid === null ? '' : `  pid ${pid}`}  ${printable(reason)}`

/** An older supervisor knows no delay. */
const stoppingLine = ({ budget, delay = 0 }: { budget: number; delay?: number }): string =>
  `stopping within ${formatDuration(budget)}${delay === 0 ? '' : `, serving goes on for ${formatDuration(delay)}`}`

const leaseName = ({ kind, identity }: LeaseRef): string => `${kind} ${printable(identity)}`

const WIDEST_STATE = 'starting'.length

const workerLine = ({ slot, pid, generation }: WorkerRef, state: string, rest = ''): string =>
  `worker ${slot}  ${state.padEnd(WIDEST_STATE)}  pid ${pid}  generation ${generation}  ${rest}`.trimEnd()

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
