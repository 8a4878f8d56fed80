// What comes into the primary's core and what goes out of it. Signals, control requests, worker messages, exits and
// timers all become commands in one queue (src/primary/supervisor.ts); the core (src/primary/supervisor-core.ts)
// answers each with effects.

import type { LimitBreach } from '../shared/limits.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { ForcedEnd, PrimaryMessage, ReadyBy } from '../shared/protocol.js'
import type { RestartLimits } from '../shared/settings.js'
import type { SupervisorState } from '../shared/status.js'
import type { ProcessEnd } from './worker-handle.js'

/** What of a release the core needs to know; the rest of its settings matters only when a worker is forked. */
export interface Release {
  generation: number
  /** How many slots there are: relay workers and the app's. */
  workers: number
  /** How many of them, the first ones, run a relay beside the app; a start decides it. */
  relays: number
  maxSurge: number
  readyTimeout: number
  minUptime: number
  stopTimeout: number
  shutdownDelay: number
  restart: RestartLimits
}

/** What somebody wants changed in the running workers. `by` counts from what runs when its turn comes. */
export type ChangeOrder =
  | { kind: 'reload' }
  | { kind: 'restart' }
  | { kind: 'scale'; to: number }
  | { kind: 'scale'; by: number }

export type Command =
  | { type: 'start' }
  /** Workers of an asked-for fork live, or could not be brought to life. */
  | { type: 'spawned'; id: number; pid: number }
  | { type: 'workerReady'; id: number; by: ReadyBy }
  | { type: 'workerListening'; id: number; address: string }
  | { type: 'workerSignalled'; id: number; signal: string }
  | { type: 'workerDrained'; id: number; forced: ForcedEnd }
  | { type: 'workerFault'; id: number; text: string }
  /** It did what makes its channel or itself unusable; it is replaced, start first. */
  | { type: 'workerMisbehaved'; id: number; reason: string }
  /** It is over one of its limits. */
  | { type: 'workerOverLimit'; id: number; breach: LimitBreach }
  | { type: 'workerExited'; id: number; end: ProcessEnd }
  /** What is exclusive is being handed to a worker on trial; it can hold it; it cannot. */
  | { type: 'leaseTrial'; id: number; state: 'trying' | 'passed' | 'failed'; reason: string }
  /** It was killed by us, because it was silent while it held something. */
  | { type: 'workerCondemned'; id: number; reason: string }
  /** Answered by one `changeEnded` that names the request. */
  | { type: 'change'; request: number; order: ChangeOrder }
  | { type: 'releaseResolved'; release: Release }
  | { type: 'releaseRejected'; message: string }
  /** `urgent`: nothing is waited for. `repeated`: a further stop signal, which ends what is waited for now. */
  | { type: 'stop'; reason: string; urgent: boolean; repeated?: boolean }
  | { type: 'timer'; key: TimerKey }
  /** Answered by an effect of the same name: commands are decided. */
  | { type: 'pulse' }

/** Timers of one worker, by its id. */
export type WorkerTimer = 'ready' | 'probation' | 'signalled' | 'terminate' | 'kill'

/** `slot:N` ends the backoff of a slot; `forkGate` asks the gate again; `shutdownDelay` lets the drain begin. */
export type TimerKey = `${WorkerTimer}:${number}` | `slot:${number}` | 'forkGate' | 'shutdownDelay'

export interface ForkOrder {
  id: number
  slot: number
  generation: number
  /** How many slots the release has now. */
  workers: number
  /** How many of them, the first ones, run a relay beside the app. */
  relays: number
  /** It is to take over from another one, and gets no connection before it does. */
  isHeld: boolean
}

export type Effect =
  /** Find out what script and configuration name now; answered by `releaseResolved` or `releaseRejected`. */
  | { type: 'resolveRelease'; generation: number }
  /** Fork a worker, in the next fork window; answered by `spawned` or `workerExited` with a `failure`. */
  | { type: 'fork'; order: ForkOrder }
  /** Do not fork it after all, if it is not too late; answered by `workerExited` in any case. */
  | { type: 'cancelFork'; id: number }
  /** What it claims of what is exclusive is handed to it, to see whether it can hold it; answered by `leaseTrial`. */
  | { type: 'tryLeases'; id: number }
  /** It has proved itself: what it holds stays with it. */
  | { type: 'trustWithLeases'; id: number }
  /** No worker of this generation shall hold anything if others can. */
  | { type: 'distrustGeneration'; generation: number; reason: string }
  /** It has taken over: it may be handed connections. */
  | { type: 'admit'; id: number }
  | { type: 'send'; id: number; message: PrimaryMessage }
  | { type: 'kill'; id: number; signal: 'SIGTERM' | 'SIGKILL' }
  | { type: 'setTimer'; key: TimerKey; ms: number }
  | { type: 'clearTimer'; key: TimerKey }
  | { type: 'pulse' }
  | { type: 'progress'; progress: Progress }
  | { type: 'stateChanged'; state: SupervisorState }
  /** All workers are ready for the first time. */
  | { type: 'started' }
  /** These requests are being carried out now, together. */
  | { type: 'changeBegun'; requests: readonly number[] }
  | { type: 'changeEnded'; requests: readonly number[]; result: OperationResult }
  /** The stop does not wait any longer: workers drain, and whatever else this process has open may be closed. */
  | { type: 'drainBegun' }
  /** Nothing is left; `result` answers the stop, its exit code is the process's. */
  | { type: 'ended'; result: OperationResult }
