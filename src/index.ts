// The public API. Exports only; importing it watches this process as docs/drain.md describes.

export * from './client/index.js'
export { type RunningSupervisor, type SuperviseOptions, supervise } from './control/supervise.js'
export { ERROR_CODES, type ErrorCode, type ErrorDetails, ForksafeError } from './shared/errors.js'
export type { Finding, FindingKind } from './shared/finding.js'
export type { LeaseOwner } from './shared/lease-provider.js'
export type { OperationResult, Progress, WorkerFailure, WorkerRef } from './shared/progress.js'
export type { RelayOptions, RelayUpstreamOptions } from './shared/relay-options.js'
export type { ClientReport } from './shared/resources.js'
export type { SupervisorState, SupervisorStatus, WorkerState, WorkerStatus } from './shared/status.js'
export { type ExclusiveOptions, type ExclusiveRun, exclusive } from './worker/exclusive.js'
export {
  type DrainListener,
  onDrain,
  onShutdown,
  ready,
  type ShutdownHook,
  type ShutdownInfo,
  type ShutdownReason,
  type WorkerIdentity,
  waitUntil,
  worker,
} from './worker/hooks.js'
