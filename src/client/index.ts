// `forksafe/client`: the guarded client alone, for plain scripts. It installs nothing: no signal handler, no hook. Who
// wants a drain on SIGTERM imports it from `forksafe`.

export type { Sendable } from './attempt.js'
export type {
  ClientSessionHandle,
  ConnectionTls,
  GuardedClientOptions,
  ReconnectQuestion,
} from './client-options.js'
export { guardedClient } from './client-registry.js'
export type { ClientState } from './client-states.js'
export type {
  ClientEvents,
  ClientStats,
  ConnectOptions,
  GuardedClient,
  Receipt,
  SendOptions,
} from './guarded-client.js'
export type { IncomingMessage } from './message-stream.js'
export { protect } from './protect.js'
export type { ProtectOptions } from './protect-options.js'
export type { GetOptions, ProtectEvents, ProtectedResource } from './protected-resource.js'
