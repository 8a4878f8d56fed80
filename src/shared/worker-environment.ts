// What a worker finds in its environment: our own startup data (removed before the script runs) and the public
// SUPERVISOR_* variables. Written by src/primary, read by src/worker.

import type { RequestGuardMode } from './connect-in-request.js'

/** The variable that carries {@link WorkerStartup}; the runtime deletes it, so that no grandchild takes itself for a worker. */
export const STARTUP_VARIABLE = 'FORKSAFE_WORKER'

export type Readiness = 'auto' | 'listening' | 'ready'

export interface WorkerStartup {
  slot: number
  generation: number
  workers: number
  supervisor: string
  readiness: Readiness
  requestGuard: RequestGuardMode
}
