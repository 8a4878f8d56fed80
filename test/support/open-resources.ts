// What this process holds open: descriptors, and what keeps its event loop awake (sockets, servers, timers). For tests
// whose subject must leave nothing behind.

import { readdirSync, readlinkSync } from 'node:fs'
import { eventually } from './deadline.js'

/** How many there are of each kind; a kind that there is none of is not listed. */
export type OpenResources = Readonly<Record<string, number>>

export const openResources = (): OpenResources => {
  const kinds = [...process.getActiveResourcesInfo(), ...descriptors()].sort()
  const counts: Record<string, number> = {}
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/**
 * Waits until this process holds what it held before: no descriptor and no socket more. Timers are not waited for: one
 * that is left would be gone when it has rung.
 *
 * @param subject completes "nothing is left of …".
 */
export const nothingIsLeft = async (before: OpenResources, subject: string): Promise<void> => {
  const timers = (openResources().Timeout ?? 0) - (before.Timeout ?? 0)
  if (timers > 0) throw new Error(`timers left of ${subject}: ${timers}`)
  const wanted = JSON.stringify(before)
  await eventually(openResources, (now) => JSON.stringify(now) === wanted, {
    what: `nothing to be left of ${subject}; before: ${wanted}`,
    timeout: 3_000,
  })
}

/** By what they are of: `socket`, `pipe`, a path. The descriptor of the listing itself is gone when it is asked about. */
const descriptors = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return `fd ${readlinkSync(`/proc/self/fd/${fd}`).replace(/:\[\d+\]$/, '')}`
    } catch {
      return []
    }
  })
