// Many connections of one process to one endpoint that no guarded client owns: a client for each request, each user, each
// try. Pools of HTTP connections are what they should be, and those of databases too, up to a size.

import type { Finding } from '../../shared/finding.js'
import type { SocketOrigin } from '../../shared/socket-origins.js'
import { type AuditedTree, groupBy, many } from '../audited-tree.js'
import { isEnding, isLive, type TreeSocket } from '../tree-sockets.js'

/** One for each of two purposes, or the old one beside the new one, may be meant. */
const WEB_SOCKETS = 3
/** Opened one after the other by the application's own code, and hardly one of them closed again. */
const OPENED_AND_KEPT = 4
/** Pools of database drivers hold 10 by default (pg, mysql2, tedious), and some a few more. */
const OF_UNKNOWN_ORIGIN = 16
/** What agents and fetch() keep for the next request; browsers and proxies stay below this for one host too. */
const POOL = 64

interface Pile {
  held: readonly TreeSocket[]
  noun: string
}

export const unguardedPiles = (tree: AuditedTree): Finding[] => {
  const unguarded = tree.sockets.filter(
    ({ pid, socket, direction, origin }) =>
      direction === 'outgoing' &&
      (isLive(socket) || isEnding(socket)) &&
      tree.isStill(pid, socket) &&
      tree.role(pid) !== 'primary' &&
      tree.role(pid) !== 'orphan' &&
      (origin?.client ?? null) === null,
  )
  return [...groupBy(unguarded, ({ pid, endpoint }) => `${pid} ${endpoint}`).values()].flatMap((held) => {
    const pile = pileIn(tree, held)
    return pile === null ? [] : [findingOf(tree, pile)]
  })
}

const pileIn = ({ facts }: AuditedTree, held: readonly TreeSocket[]): Pile | null => {
  const webSockets = held.filter(({ origin }) => origin?.webSocket === true)
  if (webSockets.length >= WEB_SOCKETS) return { held: webSockets, noun: 'WebSocket' }
  const [first] = held
  const saysNothing = first !== undefined && (facts.members.get(first.pid)?.origins ?? null) === null
  // Of a process that says nothing of itself it is not known whether these are pools.
  if (saysNothing) return held.length >= POOL ? { held, noun: 'connection' } : null
  const kept = held.filter(({ origin }) => origin !== null && isOpenedAndKept(origin))
  if (kept.length >= OPENED_AND_KEPT) return { held: kept, noun: 'connection' }
  const others = held.filter(({ origin }) => origin === null || !isPool(origin))
  if (others.length >= OF_UNKNOWN_ORIGIN) return { held: others, noun: 'connection' }
  return held.length >= POOL ? { held, noun: 'connection' } : null
}

const findingOf = ({ who }: AuditedTree, { held, noun }: Pile): Finding => {
  const [first] = held
  const pid = first?.pid ?? 0
  const endpoint = first?.endpoint ?? null
  const sites = [...new Set(held.flatMap(({ origin }) => origin?.at ?? []))]
  const requests = [...new Set(held.flatMap(({ origin }) => origin?.inRequest ?? []))]
  const opened = sites.length === 0 ? '' : `, opened at ${sites.slice(0, 3).join(', ')}`
  const within = requests.length === 0 ? '' : ` while ${requests.slice(0, 2).join(', ')} was answered`
  return {
    kind: 'unguardedPile',
    severity: 'problem',
    who: who(pid),
    pid,
    endpoint,
    what: `holds ${many(held.length, noun)} to ${endpoint} that no guarded client owns${opened}${within}`,
    todo:
      noun === 'WebSocket'
        ? 'open one guardedClient() when the module is loaded, and use it everywhere'
        : 'open one when the module is loaded and protect() it, or close each when it is done with',
    count: held.length,
  }
}

const isOpenedAndKept = (origin: SocketOrigin): boolean =>
  origin.via === null && origin.at !== null && origin.closed < origin.opened / 2

const isPool = ({ via }: SocketOrigin): boolean => via === 'http'
