// Whether this instance shall be sent traffic, as a whole. When one worker is ready: src/primary/slot-keeper.ts.

import type { SupervisorState } from '../shared/status.js'

export interface ServiceReadiness {
  isReady: boolean
  /** In words; for both answers. */
  reason: string
}

export interface ServiceStanding {
  state: SupervisorState
  /** Whether all workers have been ready at the same time once. */
  isStarted: boolean
  /** Workers of the app that serve now, and how many there shall be. */
  ready: number
  wanted: number
  /** The same of relay workers beside them. */
  relays: { ready: number; wanted: number }
}

/**
 * Ready is what was complete once, has somebody who serves now, and is not asked to stop. A worker that crashed later
 * costs no readiness as long as others serve: to send their traffic elsewhere would help nobody.
 */
export const serviceReadiness = ({
  state,
  isStarted,
  ready,
  wanted,
  relays,
}: ServiceStanding): ServiceReadiness => {
  const beside = relays.wanted === 0 ? '' : `, ${relays.ready} of ${relays.wanted} relay workers`
  const figures = `${ready} of ${wanted} workers ready${beside}`
  if (state === 'stopping' || state === 'stopped') return { isReady: false, reason: 'stopping' }
  if (!isStarted) return { isReady: false, reason: `starting, ${figures}` }
  return { isReady: ready > 0, reason: figures }
}
