// `forksafe/client`: the guarded client alone, for plain scripts. It installs nothing: no signal handler, no hook. Who
// wants a drain on SIGTERM imports it from `forksafe`.

export type { ClientEventMessage, ClientEvents } from './client-events.js'
export type {
  ClientSessionHandle,
  ConnectionTls,
  GuardedClientOptions,
  MessageId,
  MessageInfo,
} from './client-options.js'
export { guardedClient } from './client-registry.js'
export type { ClientState } from './client-states.js'
export type { Sendable } from './connection.js'
export type { ReconnectQuestion } from './connection-end.js'
export type { ClientStats, ConnectOptions, DrainResult, GuardedClient } from './guarded-client.js'
export type { IncomingMessage } from './message-stream.js'
export type { ReceiptLevel } from './outbox.js'
export { protect } from './protect.js'
export type { ProtectOptions } from './protect-options.js'
export type { GetOptions, ProtectEvents, ProtectedResource } from './protected-resource.js'
export type { Receipt, SendOptions } from './send-options.js'
