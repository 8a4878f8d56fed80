// The limits of a worker beyond which it is replaced: their settings, and how crossing one is put in words.
// Who watches: src/primary/worker-limits.ts; what happens then: src/primary/limit-breaches.ts.

import { formatDuration, show } from './duration.js'
import { ForksafeError } from './errors.js'

/** In each, 0 means none. */
export interface LimitSettings {
  /** Bytes of resident memory; beyond it a worker is replaced, start first. */
  maxMemory: number
  /** Bytes of resident memory; beyond it a worker is ended at once, by the stop ladder. */
  maxMemoryHard: number
  /** Percent of one core, as the mean over `maxCpuPeriod`; beyond it a worker is replaced, start first. */
  maxCpu: number
  /** ms */
  maxCpuPeriod: number
  /** ms for which a worker serves at most, give or take a tenth; then it is replaced, start first. */
  maxUptime: number
  /** ms for which the event loop of a ready worker may stand still; then it is killed. */
  hangTimeout: number
}

export type LimitName = Exclude<keyof LimitSettings, 'maxCpuPeriod'>

/** A limit that was crossed. `value` and `max` are bytes, percent or ms, as the limit is. */
export interface LimitBreach {
  limit: LimitName
  value: number
  max: number
}

/** Long: some work blocks the loop for seconds; what blocks it for a minute serves nobody. */
const HANG_TIMEOUT = 60_000

/** A debugger stops the loop for as long as its user thinks. */
const DEBUGGER = /^--(inspect|debug)/

/** What holds where nobody says how long a loop may stand still. */
export const defaultHangTimeout = (nodeArgs: readonly string[], nodeOptions = ''): number =>
  [...nodeArgs, ...nodeOptions.split(' ')].some((argument) => DEBUGGER.test(argument)) ? 0 : HANG_TIMEOUT

/** @throws FORKSAFE_ERR_OPTION_INVALID: the soft limit would never be reached. */
export const checkLimits = ({ maxMemory, maxMemoryHard }: LimitSettings): void => {
  if (maxMemory === 0 || maxMemoryHard === 0 || maxMemoryHard > maxMemory) return
  throw new ForksafeError(
    'FORKSAFE_ERR_OPTION_INVALID',
    `maxMemoryHard: ${show(maxMemoryHard)} is not above maxMemory (${maxMemory}), so no worker would ever be replaced in time; make it larger, or leave one of them out`,
    { details: { field: 'maxMemoryHard', value: show(maxMemoryHard) } },
  )
}

/** `over maxMemory: 131.2 MiB of 100 MiB`. */
export const describeBreach = ({ limit, value, max }: LimitBreach): string => {
  switch (limit) {
    case 'maxMemory':
    case 'maxMemoryHard':
      return `over ${limit}: ${formatSize(value)} of ${formatSize(max)}`
    case 'maxCpu':
      return `over maxCpu: ${Math.round(value)}% of a core, ${max}% allowed`
    case 'maxUptime':
      return `past maxUptime: ready for ${formatSpan(value)} of ${formatDuration(max)}`
    case 'hangTimeout':
      return `its event loop stood still for ${formatSpan(value)} (hangTimeout ${formatDuration(max)})`
  }
}

const formatSize = (bytes: number): string => `${Math.round((bytes / 1024 ** 2) * 10) / 10} MiB`

const formatSpan = (ms: number): string => `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
