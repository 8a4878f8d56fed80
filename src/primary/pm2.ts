// The contract with pm2 when it runs us (fork mode): say `ready` once, hear `shutdown`, know how long it waits.
// What workers must not see of it is taken out in src/primary/worker-environment.ts.

import cluster from 'node:cluster'
import { ForksafeError } from '../shared/errors.js'

/** pm2 kills what is left after its kill_timeout; we have to be gone before. */
const MARGIN = 300
/** Its default when none is set, in ms. */
const DEFAULT_KILL_TIMEOUT = 1_600

export const isUnderPm2 = (environment: NodeJS.ProcessEnv = process.env): boolean =>
  environment.pm_id !== undefined

/** `stopTimeout`, cut to what pm2 leaves us. */
export const stopTimeoutUnderPm2 = (
  stopTimeout: number,
  environment: NodeJS.ProcessEnv = process.env,
): number => {
  if (!isUnderPm2(environment)) return stopTimeout
  const killTimeout = Number(environment.kill_timeout)
  const budget = Number.isFinite(killTimeout) && killTimeout > 0 ? killTimeout : DEFAULT_KILL_TIMEOUT
  return Math.max(1, Math.min(stopTimeout, budget - MARGIN))
}

/** @throws FORKSAFE_ERR_NOT_PRIMARY in a cluster worker, with the fix where pm2 made us one. */
export const assertPrimary = (environment: NodeJS.ProcessEnv = process.env): void => {
  if (cluster.isPrimary) return
  const fix = isUnderPm2(environment)
    ? "pm2 runs it in cluster mode; set exec_mode: 'fork' in its ecosystem file and take `instances` (or -i) out"
    : 'call it in the primary'
  throw new ForksafeError('FORKSAFE_ERR_NOT_PRIMARY', `a supervisor cannot run in a cluster worker: ${fix}`)
}

/** Tells pm2 (`wait_ready`) that the service is up: exactly once, from the primary. */
export const sayReadyToPm2 = (environment: NodeJS.ProcessEnv = process.env): void => {
  if (isUnderPm2(environment) && process.connected) process.send?.('ready', undefined, undefined, () => {})
}

/** Listens to pm2's `shutdown` message and to its daemon going away. Returns the function that stops listening. */
export const listenToPm2 = (
  onStop: (reason: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): (() => void) => {
  if (!isUnderPm2(environment) || !process.connected) return () => {}
  const onMessage = (message: unknown): void => {
    if (message === 'shutdown') onStop('pm2 shutdown')
  }
  const onDisconnect = (): void => onStop('pm2 is gone')
  process.on('message', onMessage)
  process.on('disconnect', onDisconnect)
  return () => {
    process.removeListener('message', onMessage)
    process.removeListener('disconnect', onDisconnect)
  }
}
