// The two lifecycles of the primary, each as a table that is the whole truth: its own, and that of a worker handle.
// Who moves them: src/primary/supervisor-core.ts.

import type { TransitionTable } from '../shared/state-machine.js'
import type { SupervisorState, WorkerState } from '../shared/status.js'

export const SUPERVISOR_LIFECYCLE: TransitionTable<SupervisorState> = {
  starting: ['running', 'reloading', 'stopping'],
  running: ['reloading', 'stopping'],
  // Back to `starting` when the reload came before the first start was complete.
  reloading: ['running', 'starting', 'stopping'],
  stopping: ['stopped'],
  stopped: [],
}

/** A slot in backoff is `waiting` in the status but has no handle, so the state does not occur here. */
export type HandleState = Exclude<WorkerState, 'waiting'>

export const HANDLE_LIFECYCLE: TransitionTable<HandleState> = {
  starting: ['ready', 'draining', 'stopping', 'exited'],
  ready: ['draining', 'stopping', 'exited'],
  // `stopping`: the drain was cut short, by a second stop signal or by the stop ladder.
  draining: ['stopping', 'exited'],
  stopping: ['exited'],
  exited: [],
}
