// What a worker finds in its environment: our own startup data (removed before the script runs) and the public
// SUPERVISOR_* variables. Written by src/primary, read by src/worker.

import type { RequestGuardMode } from './connect-in-request.js'

/** The variable that carries {@link WorkerStartup}; the runtime deletes it, so that no grandchild takes itself for a worker. */
export const STARTUP_VARIABLE = 'FORKSAFE_WORKER'

export type Readiness = 'auto' | 'listening' | 'ready'

export interface WorkerStartup {
  /** Of the app's workers, or of the relay's. */
  slot: number
  /** Of all of them, as the status counts. A supervisor of an older version says nothing of it. */
  slotOfAll?: number
  generation: number
  workers: number
  supervisor: string
  readiness: Readiness
  /** A supervisor of an older version says nothing of it. */
  requestGuard?: RequestGuardMode
}
