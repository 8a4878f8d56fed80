// Errors of one client: each names the client, and its state at that time.

import { show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'

/** @returns an error of this client, from its code and what was wrong this time. */
export type ClientErrors = (code: ErrorCode, why: string, cause?: unknown) => ForksafeError

export const clientErrors =
  (client: string, state: () => string): ClientErrors =>
  (code, why, cause) =>
    new ForksafeError(code, `client ${show(client)}: ${why}`, {
      details: { client, state: state() },
      ...(cause === undefined ? {} : { cause }),
    })
