// The lifecycle of a guarded client: the whole truth in one table. Who moves it: client-session.ts.

import type { TransitionTable } from '../shared/state-machine.js'

/**
 * `idle`: nothing was asked for, or it was taken back. `waiting`: between two attempts, or standing by until it holds
 * the lease. `suspended`: closed for a fork window, or so that another process can have the connection. `draining`:
 * intake is closed, what was taken is being sent and proved. `closing`: the socket is on its way out.
 */
export type ClientState =
  | 'idle'
  | 'connecting'
  | 'open'
  | 'waiting'
  | 'suspended'
  | 'draining'
  | 'closing'
  | 'closed'

export const CLIENT_LIFECYCLE: TransitionTable<ClientState> = {
  idle: ['connecting', 'waiting', 'suspended', 'closing', 'closed'],
  connecting: ['open', 'waiting', 'idle', 'suspended', 'draining', 'closing'],
  open: ['waiting', 'idle', 'suspended', 'draining', 'closing'],
  waiting: ['connecting', 'idle', 'suspended', 'draining', 'closing', 'closed'],
  suspended: ['connecting', 'waiting', 'idle', 'draining', 'closing', 'closed'],
  draining: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
}
