// What the application can tell its runtime, supervised or not. The runtime is found, or made, on import
// (runtime-slot.ts); these functions only pass on.

import { leaseProvider, setLeaseProvider } from '../shared/lease-provider.js'
import { ownLeases } from './own-leases.js'
import {
  currentRuntime,
  type DrainListener,
  type Runtime,
  type ShutdownHook,
  setRuntime,
  type WorkerIdentity,
} from './runtime-slot.js'
import { standaloneRuntime } from './standalone.js'

export type {
  DrainListener,
  ShutdownHook,
  ShutdownInfo,
  ShutdownReason,
  WorkerIdentity,
} from './runtime-slot.js'

const findRuntime = (): Runtime => {
  const found = currentRuntime()
  if (found !== undefined) return found
  const made = standaloneRuntime()
  setRuntime(made)
  return made
}

const runtime = findRuntime()
if (leaseProvider() === undefined) setLeaseProvider(ownLeases)

/** Which worker this is; outside the supervisor slot and generation are 0 and `isSupervised` is false. */
export const worker: WorkerIdentity = runtime.worker

/**
 * Says that this worker can do its work, where no listening server and no open client says so (`readiness: 'ready'`,
 * or work that has neither). More calls do nothing. Outside the supervisor pm2 is told, if it is there.
 */
export const ready = (): void => runtime.ready()

/**
 * Registers what is to be done before this process leaves.
 *
 * Hooks run when requests have been answered and before clients are closed, one after another, the last registered
 * first. They are waited for within what is left of `stopTimeout`; one that takes longer is a warning
 * (FORKSAFE_ERR_SHUTDOWN_TIMEOUT), and the process leaves without it. A hook that throws is a warning.
 * Outside the supervisor the first hook makes SIGTERM and SIGINT drain this process.
 *
 * @param hook gets `{ signal, reason }`; what it returns is awaited.
 * @returns the function that removes it.
 */
export const onShutdown = (hook: ShutdownHook): (() => void) => runtime.onShutdown(hook)

/**
 * Tells as soon as this process drains: its listeners are closed, and the requests that it has are waited for next. For
 * who holds answers back (long polls) and has to give them now; what shall be done at the end is an onShutdown() hook.
 * Outside the supervisor the first listener makes SIGTERM and SIGINT drain this process.
 *
 * @param listener gets `{ signal, reason }`, once, and is not waited for. What it throws is a warning.
 * @returns the function that removes it.
 */
export const onDrain = (listener: DrainListener): (() => void) => runtime.onDrain?.(listener) ?? (() => {})

/**
 * Keeps this process from leaving until `work` has settled, within `stopTimeout`: for work that outlives its response.
 * A rejection is a warning.
 */
export const waitUntil = (work: PromiseLike<unknown>): void => runtime.waitUntil(work)
