// Where the health endpoint listens, as an option says it: a port of the loopback, or HOST:PORT.
// The server itself: src/control/health-server.ts.

import { isIPv6 } from 'node:net'

export interface HealthAddress {
  /** A name or an address, IPv6 without brackets. */
  host: string
  port: number
}

const LOOPBACK = '127.0.0.1'
/** What a host may be called: RFC 1123, an underscore besides. */
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/

/** `9090`, `0.0.0.0:9090`, `[::1]:9090`; null for everything else. The port stands last, so IPv6 needs no brackets. */
export const readHealthAddress = (text: string): HealthAddress | null => {
  const [, host, digits] = /^(?:(.+):)?(\d{1,5})$/.exec(text.trim()) ?? []
  const port = Number(digits)
  if (!(port >= 1 && port <= 65_535)) return null
  if (host === undefined) return { host: LOOPBACK, port }
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (isIPv6(bare)) return { host: bare, port }
  return HOST_NAME.test(host) ? { host, port } : null
}

export const healthUrl = ({ host, port }: HealthAddress): string =>
  `http://${isIPv6(host) ? `[${host}]` : host}:${port}`
