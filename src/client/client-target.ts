// Where a client connects to, and with which headers: checked when they are given and, where they are functions, for each
// attempt.

import { show } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'

/** @throws FORKSAFE_ERR_CLIENT_OPTIONS unless it is a ws: or wss: URL without a fragment. */
export const checkUrl = (field: string, value: unknown): URL => {
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw invalid(field, typeof value, "is not a URL; write url: 'wss://host/path'")
  }
  const url = parsed(String(value))
  if (url === null) throw invalid(field, '(not shown)', "is not a URL; write 'wss://host/path'")
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw invalid(field, url.protocol, 'is not a WebSocket scheme; use ws: or wss:')
  if (url.hash !== '') throw invalid(field, url.hash, 'is a fragment, which a WebSocket URL must not have')
  return url
}

const parsed = (text: string): URL | null => {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

/** A URL as it may stand in a message: without user, password and query. */
export const withoutSecrets = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

export const checkHeaders = (
  field: string,
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> => {
  if (typeof headers !== 'object' || headers === null)
    throw invalid(field, typeof headers, 'is not an object of header names and values')
  for (const [header, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(header)) throw invalid(field, header, 'is not a header name')
    // The value may be a secret: it is not shown. Allowed are tab and what Latin-1 prints (RFC 9110 section 5.5).
    if (typeof value !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw invalid(field, header, 'has a value with characters that a header must not hold')
  }
  return headers
}

export const invalid = (field: string, value: unknown, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_CLIENT_OPTIONS', `${field}: ${show(value)} ${why}`, { details: { field } })
