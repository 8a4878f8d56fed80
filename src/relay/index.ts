// The public API for callers: `import { publish } from 'forksafe/relay'`. Exports only; importing it does nothing else.

export { ERROR_CODES, type ErrorCode, type ErrorDetails, ForksafeError } from '../shared/errors.js'
export type { DeliveryReceipt, FateState } from './messages.js'
export { type BatchResult, type Published, publish, publishBatch } from './publish.js'
export type { BatchMessage, CallOptions, Message, MessageOptions, PublishOptions } from './publish-options.js'
