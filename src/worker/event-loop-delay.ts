// How late timers of this process fire, for `supervisor status`.

import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION = 20
const WINDOW = 1_000

/** Begins to measure; returns the function that tells the mean delay in ms over the last full second. */
export const measureEventLoopDelay = (): (() => number) => {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
  histogram.enable()
  let delay = 0
  setInterval(() => {
    // The histogram holds the gaps between ticks, in ns; what exceeds the resolution is delay.
    delay = histogram.count === 0 ? 0 : Math.max(0, histogram.mean / 1e6 - RESOLUTION)
    histogram.reset()
  }, WINDOW).unref()
  return () => Math.round(delay * 100) / 100
}
