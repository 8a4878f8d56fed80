// An event as a line of the supervisor's log.

import type { LogLine } from '../observe/log-buffer.js'
import { formatDuration } from '../shared/duration.js'
import { describeBreach, type LimitName } from '../shared/limits.js'
import type { Progress, WorkerFailure } from '../shared/progress.js'
import { formatSeconds } from './worker-handle.js'

export const describeProgress = (
  progress: Progress,
): { level: NonNullable<LogLine['level']>; text: string } => {
  switch (progress.event) {
    case 'workerStarting':
      return info(`worker ${progress.slot} starting (pid ${progress.pid}, generation ${progress.generation})`)
    case 'workerReady':
      return info(
        `worker ${progress.slot} ready after ${formatSeconds(progress.ms)} by ${progress.by} (pid ${progress.pid}, generation ${progress.generation})`,
      )
    case 'workerDraining':
      return info(
        `worker ${progress.slot} draining for ${progress.reason} (pid ${progress.pid}, generation ${progress.generation})`,
      )
    case 'workerExited':
      return {
        level: progress.expected && progress.reason === 'drained' ? 'info' : 'warn',
        text: `worker ${progress.slot} gone: ${progress.reason} (${progress.pid === 0 ? '' : `pid ${progress.pid}, `}generation ${progress.generation})`,
      }
    case 'workerOverLimit':
      return {
        level: progress.limit === 'maxUptime' ? 'info' : 'warn',
        text: `worker ${progress.slot} is ${consequenceOf(progress.limit)}: ${describeBreach(progress)} (pid ${progress.pid}, generation ${progress.generation})`,
      }
    case 'workerWaiting':
      return {
        level: 'warn',
        text: `worker ${progress.slot} is started again in ${formatSeconds(progress.ms)}: ${progress.reason}${loop(progress.crashes)}`,
      }
    case 'leaseAcquired':
      return info(
        `worker ${progress.slot} holds ${lease(progress)} (pid ${progress.pid})${progress.gapMs === null ? '' : `, after a gap of ${formatGap(progress.gapMs)}`}`,
      )
    case 'leaseHandedOff':
      return info(
        `${lease(progress)} went from worker ${progress.fromSlot} to worker ${progress.slot} (pid ${progress.pid}), with a gap of ${formatGap(progress.gapMs)}`,
      )
    case 'leaseBlocked': {
      const whom = progress.owner === null ? 'a program' : `supervisor ${progress.owner}`
      const since = progress.since === null ? '' : ` since ${new Date(progress.since).toISOString()}`
      return info(
        `worker ${progress.slot} stands by for ${lease(progress)}: ${whom} (pid ${progress.ownerPid}) holds it${since}`,
      )
    }
    case 'fanoutDropped':
      return {
        level: 'warn',
        text: `worker ${progress.slot} did not read: ${progress.batches} batches of incoming messages were not handed to it (pid ${progress.pid})`,
      }
    case 'forkFinding':
      return {
        level: progress.severity === 'problem' ? 'warn' : 'info',
        text: `${progress.who} ${progress.what}; ${progress.todo}`,
      }
    case 'leaseLost':
      return info(
        `worker ${progress.slot} no longer holds ${lease(progress)}: ${progress.reason} (pid ${progress.pid})`,
      )
    case 'reloading':
      return info(`rolling restart of ${progress.slots.length} workers to generation ${progress.generation}`)
    case 'reloaded':
      return info(
        `rolling restart to generation ${progress.generation} done in ${formatSeconds(progress.ms)}`,
      )
    case 'reloadFailed':
      return failed(
        `rolling restart to generation ${progress.generation} rolled back: ${why(progress.failures)}`,
      )
    case 'restarting':
      return info(`restart of ${count(progress.workers)} with generation ${progress.generation}`)
    case 'restarted':
      return info(
        `restart with generation ${progress.generation} done in ${formatSeconds(progress.ms)}, no worker took new work for ${formatSeconds(progress.gapMs)}`,
      )
    case 'restartFailed':
      return failed(
        `restart with generation ${progress.generation} failed, the one before was started again: ${why(progress.failures)}`,
      )
    case 'scaling':
      return info(`scaling from ${count(progress.from)} to ${progress.to}`)
    case 'scaled':
      return info(`${count(progress.to)} after ${formatSeconds(progress.ms)}, ${progress.from} before`)
    case 'scaleFailed':
      return failed(
        `not scaled to ${progress.to}, ${count(progress.from)} as before: ${why(progress.failures)}`,
      )
    case 'stopping':
      return info(
        `stopping (${progress.reason}), within ${formatDuration(progress.budget)}${progress.delay === 0 ? '' : `; serving goes on for ${formatDuration(progress.delay)}`}`,
      )
    case 'draining':
      return info(`draining (${progress.reason}), within ${formatDuration(progress.budget)}`)
    case 'stopped':
      return info(
        `stopped in ${formatSeconds(progress.ms)}${progress.forced === 0 ? '' : `, ${progress.forced} killed`}`,
      )
  }
}

const consequenceOf = (limit: LimitName): string => {
  if (limit === 'hangTimeout') return 'killed'
  return limit === 'maxMemoryHard' ? 'sent away' : 'to be replaced'
}

const lease = ({ kind, identity }: { kind: string; identity: string }): string => `${kind} ${identity}`

const formatGap = (ms: number): string => (ms < 100 ? `${ms.toFixed(1)} ms` : formatSeconds(ms))

const loop = (crashes: number): string => (crashes > 1 ? ` (crash ${crashes} of late)` : '')

const why = (failures: readonly WorkerFailure[]): string =>
  failures
    .map(({ slot, pid, reason }) => `worker ${slot}${pid === null ? '' : ` (pid ${pid})`} ${reason}`)
    .join('; ')

const count = (workers: number): string => `${workers} worker${workers === 1 ? '' : 's'}`

const failed = (text: string): { level: 'error'; text: string } => ({ level: 'error', text })
const info = (text: string): { level: 'info'; text: string } => ({ level: 'info', text })
