// How an attempt or a connection ended, and what of it means that another attempt makes no sense. Pure.

import { messageOf } from '../shared/errors.js'

/** What was refused or lost, for `shouldReconnect`. */
export interface ReconnectQuestion {
  /** HTTP status of a refused upgrade, else null. */
  status: number | null
  /** Close code of a connection that had been open, else null. */
  code: number | null
  reason: string
}

export interface ConnectionEnd {
  /** Why an attempt failed; null for a connection that had been open. */
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT' | 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED' | null
  /** Close code; 1006 where no Close frame was received. */
  code: number
  reason: string
  /** Of a connection that had been open: whether the upstream, or the way to it, ended it and not we. */
  isByPeer: boolean
  /** Whether another attempt makes no sense: the upstream refused for good. */
  isFatal: boolean
  /** What the upstream asked us to wait, in ms. */
  retryAfter: number | null
  /** In words, without credentials. */
  message: string
}

/** What was known before the socket was gone; what follows is only the consequence of our own terminate(). */
export interface Failure {
  error: NonNullable<ConnectionEnd['error']>
  message: string
  /** HTTP status of a refused upgrade. */
  status: number | null
  retryAfter: number | null
}

export const failed = (message: string): Failure => ({
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED',
  message,
  status: null,
  retryAfter: null,
})

export const overdue = (message: string): Failure => ({
  ...failed(message),
  error: 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT',
})

/** An upgrade that was answered with something else. `Retry-After` counts where it is defined: 429 and 503. */
export const refused = (target: string, status: number, retryAfter: string | undefined): Failure => {
  const isRedirect = status >= 300 && status < 400
  return {
    ...failed(
      `${target} answered the upgrade with ${status}${isRedirect ? ' (redirects are not followed)' : ''}`,
    ),
    status,
    retryAfter: status === 429 || status === 503 ? parseRetryAfter(retryAfter, Date.now()) : null,
  }
}

/** Seconds or an HTTP date (RFC 9110 section 10.2.3) as ms from `now`; null if it is neither, or over. */
export const parseRetryAfter = (header: string | undefined, now: number): number | null => {
  if (header === undefined) return null
  const text = header.trim()
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : HTTP_DATE.test(text) ? Date.parse(text) - now : null
  return ms !== null && ms > 0 ? ms : null
}

/** Day names first, as in all three forms of RFC 9110 section 5.6.7: `Date.parse` alone takes nearly anything. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /

export interface Ending {
  /** Whether the connection had been open. */
  wasOpen: boolean
  /** Whether there was a WebSocket connection, so that the close code is the server's. */
  wasUpgraded: boolean
  code: number
  reason: string
  failure: Failure | null
  target: string
  shouldReconnect: (question: ReconnectQuestion) => boolean
}

export const connectionEnd = (ending: Ending): ConnectionEnd => {
  const { wasOpen, wasUpgraded, code, reason, failure, target } = ending
  const said = reason === '' ? '' : ` ${JSON.stringify(reason)}`
  if (wasOpen) {
    const why = failure === null ? '' : ` (${failure.message})`
    return {
      error: null,
      code,
      reason,
      isByPeer: failure === null,
      isFatal: !isWorthIt(ending, null, code),
      retryAfter: null,
      message: `closed with code ${code}${said}${why}`,
    }
  }
  const { error, message, status, retryAfter } =
    failure ?? failed(`${target || 'the attempt'} was closed with code ${code}${said} before it was open`)
  // A close code before `afterConnect` is done is the server's answer to it.
  const isFatal = !isWorthIt(ending, status, wasUpgraded ? code : null)
  return { error, code, reason, isByPeer: failure === null, isFatal, retryAfter, message }
}

/** A question of the user's, asked while a socket ends: what it throws must not end the process. */
const isWorthIt = (
  { shouldReconnect, reason }: Ending,
  status: number | null,
  code: number | null,
): boolean => {
  try {
    return shouldReconnect({ status, code, reason })
  } catch (error) {
    process.emitWarning(`shouldReconnect failed, the client goes on: ${messageOf(error)}`, 'ForksafeWarning')
    return true
  }
}
