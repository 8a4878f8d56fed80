// Why a request to the ingress is not done, and how that is said: application/problem+json (RFC 9457), for requests that
// were understood and, as bytes, for those that were not even HTTP.

import { STATUS_CODES } from 'node:http'
import type { ErrorCode } from '../../shared/errors.js'

export interface Problem {
  status: number
  code: ErrorCode
  /** One line for people: what is wrong with the values, what to do. */
  detail: string
  /** Seconds; always there with 503 and 507. */
  retryAfter?: number
  /** Methods that the path has, for 405. */
  allow?: string
  /** Further members of the body. */
  more?: Record<string, unknown>
}

export const problem = (status: number, code: ErrorCode, detail: string): Problem => ({
  status,
  code,
  detail,
})

/** Another attempt makes sense after that many seconds. */
export const later = (status: number, code: ErrorCode, detail: string, retryAfter = 1): Problem => ({
  status,
  code,
  detail,
  retryAfter,
})

export const badRequest = (detail: string): Problem => problem(400, 'FORKSAFE_ERR_RELAY_REQUEST', detail)

/** Head and body of the answer; header names and values in turn. */
export const problemAnswer = ({
  status,
  code,
  detail,
  retryAfter,
  allow,
  more,
}: Problem): { headers: string[]; body: string } => {
  const title = STATUS_CODES[status] ?? 'Error'
  const body = `${JSON.stringify({ type: 'about:blank', title, status, detail, code, ...more })}\n`
  const headers = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
  ]
  if (retryAfter !== undefined) headers.push('Retry-After', String(retryAfter))
  if (allow !== undefined) headers.push('Allow', allow)
  if (status === 401) headers.push('WWW-Authenticate', 'Bearer realm="relay"')
  return { headers, body }
}

/** The same as bytes, the last ones of their connection. */
export const rawProblem = (what: Problem): string => {
  const { headers, body } = problemAnswer(what)
  const lines = [`HTTP/1.1 ${what.status} ${STATUS_CODES[what.status] ?? 'Error'}`, 'Connection: close']
  for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`)
  return [...lines, '', body].join('\r\n')
}
