// Who may speak to the ingress over TCP: whoever has the token, is no web page and asked for this very host. On the unix
// socket the kernel has decided that already. Pure.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { badRequest, type Problem, problem } from './problem.js'

export type Guard = (request: Pick<IncomingMessage, 'headers' | 'rawHeaders'>) => Problem | null

/**
 * @param host as it is listened on.
 */
export const tcpGuard = ({ host, port, token }: { host: string; port: number; token: string }): Guard => {
  const hosts = hostsOf(host, port)
  const expected = digest(Buffer.from(token))
  return ({ headers, rawHeaders }) => {
    // Two of them could be read differently by whoever stands between.
    if (headers.host === undefined || countOf(rawHeaders, 'host') !== 1)
      return badRequest('the request does not have exactly one Host header')
    if (!hosts.has(headers.host.toLowerCase())) {
      return problem(421, 'FORKSAFE_ERR_RELAY_ORIGIN', 'the request is for another host than this relay')
    }
    const site = headers['sec-fetch-site']
    if (headers.origin !== undefined || (site !== undefined && site !== 'none' && site !== 'same-origin')) {
      return problem(403, 'FORKSAFE_ERR_RELAY_ORIGIN', 'web pages may not speak to a relay')
    }
    if (countOf(rawHeaders, 'authorization') === 1 && isToken(headers.authorization, expected)) return null
    return problem(
      401,
      'FORKSAFE_ERR_RELAY_TOKEN',
      'the token is missing or wrong; send it as Authorization: Bearer TOKEN',
    )
  }
}

const hostsOf = (host: string, port: number): ReadonlySet<string> => {
  const own = host.includes(':') ? `[${host}]` : host
  const names = ['127.0.0.1', 'localhost', '[::1]', own.toLowerCase()]
  return new Set(names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])))
}

/** Both as digests, so that neither length nor beginning can be measured. */
const isToken = (header: string | undefined, expected: Buffer): boolean => {
  const [, given] = /^Bearer +([^\s]+) *$/i.exec(header ?? '') ?? []
  // Node reads the bytes of a header as Latin-1.
  return timingSafeEqual(digest(Buffer.from(given ?? '', 'latin1')), expected) && given !== undefined
}

const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

const countOf = (rawHeaders: readonly string[], name: string): number => {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === name) count++
  return count
}
