// The contract with pm2 when it runs us (fork mode): say `ready` once, hear `shutdown`, roll on `pm2 trigger NAME reload`.
// How long pm2 waits is kill-timeout.ts, what follows when it dies parent-exit.ts. What workers must not see of it is taken
// out in src/primary/worker-environment.ts.

import cluster from 'node:cluster'
import { ForksafeError } from '../shared/errors.js'
import { isUnderPm2 } from '../shared/pm2-variables.js'
import type { OperationResult } from '../shared/progress.js'

/** What pm2 sends for `pm2 trigger NAME reload`; with a parameter, in a field `msg`. */
const RELOAD = 'reload'

export interface Pm2Actions {
  stop(reason: string): void
  reload(): Promise<OperationResult>
}

/** @throws FORKSAFE_ERR_NOT_PRIMARY in a cluster worker, with the fix where pm2 made us one. */
export const assertPrimary = (environment: NodeJS.ProcessEnv = process.env): void => {
  if (cluster.isPrimary) return
  const fix = isUnderPm2(environment)
    ? "pm2 runs it in cluster mode; set exec_mode: 'fork' in its ecosystem file and take `instances` (or -i) out"
    : 'call it in the primary'
  throw new ForksafeError('FORKSAFE_ERR_NOT_PRIMARY', `a supervisor cannot run in a cluster worker: ${fix}`)
}

/**
 * `pm2 scale` and a second `pm2 start` of the same file run a second supervisor of one name: starting it again, as pm2
 * would for ever, cannot help.
 *
 * @returns the error to end with: one that says the fix where pm2 started more than one of us, else the given one.
 */
export const explainSecondInstance = (
  error: unknown,
  environment: NodeJS.ProcessEnv = process.env,
): unknown => {
  const isTaken = error instanceof ForksafeError && error.code === 'FORKSAFE_ERR_NAME_RUNNING'
  if (!isTaken || !isUnderPm2(environment)) return error
  // A number among the processes of one name in pm2, from 0; `instance_var` is what its variable is called.
  const instance = environment[environment.instance_var ?? 'NODE_APP_INSTANCE'] ?? '0'
  if (instance === '0') return error
  const { pm_id: id, name } = environment
  return new ForksafeError(
    'FORKSAFE_ERR_PM2_INSTANCE',
    `${error.message}. pm2 has started it a second time; take that out with 'pm2 delete ${id}', ` +
      `and get more workers of ${name} with 'supervisor scale'`,
    { cause: error },
  )
}

/** Tells pm2 (`wait_ready`) that the service is up: exactly once, from the primary. */
export const sayReadyToPm2 = (environment: NodeJS.ProcessEnv = process.env): void => {
  if (isUnderPm2(environment)) tell('ready')
}

/** Listens to pm2's `shutdown` and `reload`. Returns the function that stops listening. */
export const listenToPm2 = (
  actions: Pm2Actions,
  environment: NodeJS.ProcessEnv = process.env,
): (() => void) => {
  if (!isUnderPm2(environment) || !process.connected) return () => {}
  const onMessage = (message: unknown): void => {
    if (message === 'shutdown') actions.stop('pm2 shutdown')
    // `pm2 trigger` waits for the answer, however long it takes.
    if (isReload(message)) void actions.reload().then(answerReload)
  }
  process.on('message', onMessage)
  tell({ type: 'axm:action', data: { action_name: RELOAD, action_type: 'custom', arity: 0 } })
  return () => void process.removeListener('message', onMessage)
}

const isReload = (message: unknown): boolean =>
  message === RELOAD ||
  (typeof message === 'object' && message !== null && 'msg' in message && message.msg === RELOAD)

const answerReload = ({ ok: success, message }: OperationResult): void =>
  tell({ type: 'axm:reply', data: { return: { success, message }, action_name: RELOAD } })

/** Where pm2 has gone nobody needs to hear it. */
const tell = (message: string | object): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
