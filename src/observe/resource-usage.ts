// Memory and CPU of processes, by pidusage. The only file that imports it.
// pidusage keeps a history per pid for its CPU figure (and, on Linux, an open descriptor): `forget` ends it, so that
// a reused pid never inherits the history of a dead worker.

import type pidusage from 'pidusage'

/** Loaded for the first question: a supervisor that nobody asks does without. */
let library: typeof pidusage | undefined

export interface ResourceUsage {
  rssBytes: number
  /** Of one core: 100 is one core busy. */
  cpuPercent: number
}

/** ms. pidusage asks a program of the system first (`getconf`), and one that hangs must not make a status wait. */
const PATIENCE = 1_000

/** Figures by pid; a pid that cannot be read (it has just died) is left out. Never rejects, and takes 1 s at most. */
export const resourceUsage = async (pids: readonly number[]): Promise<Map<number, ResourceUsage>> => {
  const figures = new Map<number, ResourceUsage>()
  library ??= (await import('pidusage')).default
  const usageOf = library
  const read = Promise.all(
    pids.map(async (pid) => {
      try {
        const { memory, cpu } = await usageOf(pid)
        figures.set(pid, { rssBytes: memory, cpuPercent: Math.round(cpu * 10) / 10 })
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

/** To be called when worker processes have come and gone, and at the end. */
export const forgetUsageHistory = (): void => library?.clear()
