// What the ingress needs of whoever keeps the messages: the owner in this process, or, through its desk, in another one
// (src/relay/remote-door.ts). A later ingress (Redis) uses the same door.

import type { AppendOutcome, Fate, NewMessage } from './messages.js'

export interface RelayDoor {
  /** Whether there is a client of this name. */
  has(client: string): boolean
  /**
   * Settles when all of them are answered, each in its place; never rejects: whoever cannot be reached within the bound
   * is a `refused` with FORKSAFE_ERR_RELAY_UNAVAILABLE. Those of one call keep their order.
   */
  append(client: string, messages: readonly NewMessage[]): Promise<AppendOutcome[]>
  /** Null: not known (any more). Rejects with FORKSAFE_ERR_RELAY_UNAVAILABLE when nobody can be asked. */
  fate(client: string, id: string): Promise<Fate | null>
  /** The fate as soon as it is not `queued` any more; what is known then when `signal` is aborted or this process drains. */
  settled(client: string, id: string, signal: AbortSignal): Promise<Fate | null>
}
