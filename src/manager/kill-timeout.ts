// Under pm2 what takes longer than its kill_timeout is cut off by SIGKILL: so nothing is planned that does.

import { formatDuration } from '../shared/duration.js'
import { isUnderPm2, killTimeoutOfPm2 } from '../shared/pm2-variables.js'

/** What a stop takes, in ms. */
export interface StopTimes {
  stopTimeout: number
  /** For how long everything goes on being served before the drain begins. */
  shutdownDelay: number
}

/** Of kill_timeout, for what comes behind the last worker: its exit, our last lines, our own exit. */
const MARGIN = { part: 0.05, least: 300, most: 2_000 }

/**
 * The times, cut to what pm2 leaves: the drain gets what there is, the delay before it what is left of that.
 *
 * @param warn told in one line, with the fix, where something had to be cut.
 */
export const fitToKillTimeout = <Times extends StopTimes>(
  times: Times,
  warn: (text: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Times => {
  if (!isUnderPm2(environment)) return times
  const killTimeout = killTimeoutOfPm2(environment)
  const margin = marginOf(killTimeout)
  const budget = Math.max(1, killTimeout - margin)
  const stopTimeout = Math.min(times.stopTimeout, budget)
  const wanted = times.stopTimeout + times.shutdownDelay
  if (wanted <= budget) return times
  const shutdownDelay = Math.min(times.shutdownDelay, budget - stopTimeout)
  const cut = [
    ...(stopTimeout < times.stopTimeout ? [cutTo('stopTimeout', times.stopTimeout, stopTimeout)] : []),
    ...(shutdownDelay < times.shutdownDelay
      ? [cutTo('shutdownDelay', times.shutdownDelay, shutdownDelay)]
      : []),
  ]
  warn(
    `pm2 kills after ${formatDuration(killTimeout)}: ${cut.join(', ')}; ` +
      `set kill_timeout in its ecosystem file to ${killTimeoutFor(wanted)} or more`,
  )
  return { ...times, stopTimeout, shutdownDelay }
}

const cutTo = (name: string, from: number, to: number): string =>
  `${name} is cut from ${formatDuration(from)} to ${formatDuration(to)}`

const marginOf = (killTimeout: number): number =>
  Math.min(MARGIN.most, Math.max(MARGIN.least, Math.round(killTimeout * MARGIN.part)))

/** The next full second that leaves more than the margin. */
const killTimeoutFor = (wanted: number): number => Math.ceil((wanted + MARGIN.most) / 1_000) * 1_000
