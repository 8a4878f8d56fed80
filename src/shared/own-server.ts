// Servers of this process that are ours and not the application's: a lock, a rehearsal. Who watches the application's
// servers passes them by: they say nothing of readiness, and a drain that closed the listener of a lock would give the
// lock away. The mark is a registered symbol, so that another copy of the package knows it too.

import type { Server } from 'node:net'

const MARK = Symbol.for('forksafe.own-server.v1')

/** To be called before it listens. */
export const markAsOwn = (server: Server): void => {
  Reflect.set(server, MARK, true)
}

export const isOwnServer = (server: Server): boolean => Reflect.get(server, MARK) === true
