// A socket in words for people: `tcp 127.0.0.1:51234 to 127.0.0.1:443, established`.

import type { Endpoint, SocketRow } from './socket-table.js'

export const describeSocket = ({ kind, state, local, remote, path }: SocketRow): string => {
  if (kind === 'other') return 'a socket of which the kernel tells nothing, not connected any more or not yet'
  if (kind === 'unix') return `unix ${path ?? 'socket without a name'}, ${state}`
  const from = local === null ? '' : ` ${formatEndpoint(local)}`
  const to = remote === null ? '' : ` to ${formatEndpoint(remote)}`
  return `${kind}${from}${to}, ${state}`
}

/** `127.0.0.1:80`, `[::1]:80`; port 0 as `*`. */
export const formatEndpoint = ({ address, port }: Endpoint): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port === 0 ? '*' : port}`
