// What is said of a message when no owner of the spool could be asked, or it is leaving.

import { ForksafeError } from '../shared/errors.js'
import type { AppendOutcome } from './messages.js'

/** A rolling restart hands the spool over within this; asking again earlier is of no use. */
const RETRY_AFTER = 2

export const unavailable = (id: string, why: string): AppendOutcome => ({
  outcome: 'refused',
  id,
  refusal: {
    code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE',
    message: `${why}; send it again with the same id`,
    retryAfter: RETRY_AFTER,
  },
})

export const unavailableError = (why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RELAY_UNAVAILABLE', why)
