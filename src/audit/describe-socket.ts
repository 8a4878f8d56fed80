// A socket in words for people: `tcp 127.0.0.1:51234 to 127.0.0.1:443, established`.

import { type SocketRow, showEndpoint } from './socket-table.js'

export const describeSocket = ({ kind, state, local, remote, path }: SocketRow): string => {
  if (kind === 'other') return 'a socket of which the kernel tells nothing, not connected any more or not yet'
  if (kind === 'unix') return `unix ${path ?? 'socket without a name'}, ${state}`
  const from = local === null ? '' : ` ${showEndpoint(local)}`
  const to = remote === null ? '' : ` to ${showEndpoint(remote)}`
  return `${kind}${from}${to}, ${state}`
}
