// What the guard of requests saw in the workers: a client that is opened while a request is answered, one for each.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, many } from '../audited-tree.js'

export const connectsInRequests = ({ facts, who }: AuditedTree): Finding[] =>
  facts.connects.map(({ pid, at, url, request, count }) => ({
    kind: 'connectInRequest',
    severity: 'problem',
    who: who(pid),
    pid,
    endpoint: endpointOf(url),
    what: `opened ${many(count, 'connection')} to ${url} while ${request} was answered${at === null ? '' : `, at ${at}`}`,
    todo: 'open one guardedClient() when the module is loaded, and use it in the handler',
    count,
  }))

/** `wss://api.example.com/feed` -> `api.example.com:443` */
const endpointOf = (url: string): string | null => {
  try {
    const { hostname, port, protocol } = new URL(url)
    const standard = protocol === 'wss:' || protocol === 'https:' ? '443' : '80'
    return hostname === '' ? null : `${hostname}:${port === '' ? standard : port}`
  } catch {
    return null
  }
}
