// Memory and CPU of processes, by pidusage. The only file that imports it.
//
// Its own CPU figure is not used: it counts from whoever asked last, and is 0 at the first question. It keeps an open
// descriptor per pid, which its clear() would leak: so its memory is short (`maxage`, after which it closes them), and the
// history is ours, forgotten with the process, so that a reused pid never inherits the figures of a dead worker.

import type pidusage from 'pidusage'
import { monotonicNow } from '../shared/clock.js'

/** Loaded for the first question: a supervisor that nobody asks does without. */
let library: typeof pidusage | undefined

export interface ResourceUsage {
  rssBytes: number
  /** Of one core, since the last question about this pid, or else over its whole life: 100 is one core busy. */
  cpuPercent: number
  /** CPU that it has used so far, in ms. */
  cpuTimeMs: number
}

interface Reading {
  /** Monotonic ms. */
  at: number
  cpuTimeMs: number
  cpuPercent: number
}

/** ms. pidusage asks a program of the system first (`getconf`), and one that hangs must not make a status wait. */
const PATIENCE = 1_000
/** ms for which pidusage keeps a descriptor. Longer than any read takes: it closes what is older. */
const MAX_AGE = 2_000
/** ms. The kernel counts CPU in steps of 10 ms: what is read sooner says nothing, and the figure before it stands. */
const MIN_SPAN = 200

const readings = new Map<number, Reading>()

/** Figures by pid; a pid that cannot be read (it has just died) is left out. Never rejects, and takes 1 s at most. */
export const resourceUsage = async (pids: readonly number[]): Promise<Map<number, ResourceUsage>> => {
  const figures = new Map<number, ResourceUsage>()
  library ??= (await import('pidusage')).default
  const usageOf = library
  const read = Promise.all(
    pids.map(async (pid) => {
      try {
        const { memory, ctime, elapsed } = await usageOf(pid, { maxage: MAX_AGE })
        if (!Number.isFinite(memory) || !Number.isFinite(ctime)) return
        figures.set(pid, { rssBytes: memory, cpuPercent: percentOf(pid, ctime, elapsed), cpuTimeMs: ctime })
      } catch {
        // Gone between the question and the answer.
      }
    }),
  )
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, PATIENCE)
  })
  await Promise.race([read, late])
  clearTimeout(timer)
  return new Map(figures)
}

const percentOf = (pid: number, cpuTimeMs: number, lifeMs: number): number => {
  const at = monotonicNow()
  const before = readings.get(pid)
  const isReused = before !== undefined && cpuTimeMs < before.cpuTimeMs
  if (before !== undefined && !isReused && at - before.at < MIN_SPAN) return before.cpuPercent
  const [used, span] =
    before === undefined || isReused ? [cpuTimeMs, lifeMs] : [cpuTimeMs - before.cpuTimeMs, at - before.at]
  const cpuPercent = span > 0 ? Math.round((used / span) * 1_000) / 10 : 0
  readings.set(pid, { at, cpuTimeMs, cpuPercent })
  return cpuPercent
}

/** To be called when a process has ended. */
export const forgetUsageOf = (pid: number): void => void readings.delete(pid)

/** To be called at the end. */
export const forgetUsageHistory = (): void => readings.clear()
