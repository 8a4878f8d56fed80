// An event as a line of the supervisor's log.

import type { LogLine } from '../observe/log-buffer.js'
import { formatDuration } from '../shared/duration.js'
import type { Progress } from '../shared/progress.js'
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
    case 'workerWaiting':
      return {
        level: 'warn',
        text: `worker ${progress.slot} is started again in ${formatSeconds(progress.ms)}: ${progress.reason}`,
      }
    case 'reloading':
      return info(`rolling restart of ${progress.slots.length} workers to generation ${progress.generation}`)
    case 'reloaded':
      return info(
        `rolling restart to generation ${progress.generation} done in ${formatSeconds(progress.ms)}`,
      )
    case 'reloadFailed': {
      const why = progress.failures.map(
        ({ slot, pid, reason }) => `worker ${slot}${pid === null ? '' : ` (pid ${pid})`} ${reason}`,
      )
      return {
        level: 'error',
        text: `rolling restart to generation ${progress.generation} rolled back: ${why.join('; ')}`,
      }
    }
    case 'stopping':
      return info(`stopping (${progress.reason}), within ${formatDuration(progress.budget)}`)
    case 'stopped':
      return info(
        `stopped in ${formatSeconds(progress.ms)}${progress.forced === 0 ? '' : `, ${progress.forced} killed`}`,
      )
  }
}

const info = (text: string): { level: 'info'; text: string } => ({ level: 'info', text })
