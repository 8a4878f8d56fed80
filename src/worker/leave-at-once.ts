// The short way out: Close frames are tried for at most 250 ms, and nothing else is waited for.

import { closeInOrder } from '../shared/closing-order.js'
import { resourcesNewestFirst } from '../shared/resources.js'
import { settledWithin } from '../shared/settled-within.js'

const LIMIT = 250

let isLeaving = false

/** Closes all clients at once and then calls `exit`; a second call does nothing. */
export const leaveAtOnce = (exit: () => void): void => {
  if (isLeaving) return
  isLeaving = true
  const closed = closeInOrder(resourcesNewestFirst(), LIMIT, (resource, timeout) =>
    resource.shutDown({ timeout }),
  )
  void settledWithin(closed, LIMIT).then(exit)
}
