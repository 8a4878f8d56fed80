// A message in the outbox with whoever waits for it: of this process (sending.ts), or of a standby (sharing.ts).

import type { Sendable } from './connection.js'
import type { Receipt, SendOptions } from './send-options.js'

export interface Outgoing {
  readonly data: Sendable
  readonly sentAt: number
  resolve(receipt: Receipt): void
  reject(error: unknown): void
  readonly options: SendOptions
  /** Takes timer and abort listener away; null where there is none. */
  release: (() => void) | null
}
