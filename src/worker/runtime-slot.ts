// Where the runtime of this process is found: under a registered symbol, because the application may import another
// copy of the package than the one that was preloaded. What the runtime does: supervised.ts and standalone.ts.

import type { DrainReason } from '../shared/protocol.js'

/** Why the process shuts down; beyond the orders of a primary: it was orphaned, or pm2 sent `shutdown`. */
export type ShutdownReason = DrainReason | 'orphaned' | 'message'

export interface ShutdownInfo {
  /** The stop signal that this process got, if that is how it began. */
  signal: NodeJS.Signals | null
  reason: ShutdownReason
}

export type ShutdownHook = (info: ShutdownInfo) => unknown

/** Which worker this is. Outside the supervisor slot and generation are 0. */
export interface WorkerIdentity {
  readonly slot: number
  /** Number of the code and configuration that this worker was started with. */
  readonly generation: number
  readonly isSupervised: boolean
}

export type DrainListener = (info: ShutdownInfo) => void

export interface Runtime {
  readonly worker: WorkerIdentity
  ready(): void
  onShutdown(hook: ShutdownHook): () => void
  /** A runtime of an older version does not know it. */
  onDrain?(listener: DrainListener): () => void
  waitUntil(work: PromiseLike<unknown>): void
}

const KEY = Symbol.for('forksafe.runtime.v1')

const holder = globalThis as { [KEY]?: Runtime }

export const currentRuntime = (): Runtime | undefined => holder[KEY]

export const setRuntime = (runtime: Runtime): void => {
  holder[KEY] = runtime
}
