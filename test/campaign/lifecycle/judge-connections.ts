// Judges what the upstream saw: how each connection ended, and how many there were at once. Pure.

import type { RecordingUpstream } from '../../../examples/feed/upstream.js'
import type { Fault } from './journal.js'

type Connection = RecordingUpstream['connections'][number]

/** An old worker drains while the new one is open: two, and never a third. */
const MOST_AT_ONCE = 2
/** With a worker that was harmed or told to go in the middle of it: its drain and that of its replacement overlap. */
const MOST_AT_ONCE_HARMED = 3
/** ms. Nobody reads an answer, decides and is gone within that time. */
const AT_ONCE = 5
const GOOD_CODES: readonly (number | null)[] = [1000, 1001]

export interface ConnectionsSeen {
  connections: readonly Connection[]
  faults: readonly Fault[]
  /** Log lines of all supervisors of the round. */
  lines: readonly string[]
  /** Whether a supervisor was killed: orphans that were stopped in that moment are killed by the next one. */
  wasKilled: boolean
}

export const judgeConnections = (seen: ConnectionsSeen): string[] => [
  ...judgeEnds(seen),
  ...judgeCounts(seen.connections, seen.faults),
]

const judgeEnds = (seen: ConnectionsSeen): string[] =>
  seen.connections
    .filter(
      (connection) =>
        connection.openedAt !== null &&
        !GOOD_CODES.includes(connection.code) &&
        !hadLeftBefore(connection) &&
        !isExcused(connection.pid, seen),
    )
    .map(
      ({ id, slot, pid, code }) =>
        `connection #${id} of slot ${slot}, pid ${pid}, ended with ${code ?? 'no Close frame'}`,
    )

/**
 * Its peer was gone when the upgrade was answered, or hung up without having read that: it never had a WebSocket on which
 * it could have said goodbye, although the upstream, which read its request late, believes so.
 */
const hadLeftBefore = ({ openedAt, goneAt }: Connection): boolean =>
  goneAt !== null && goneAt - (openedAt ?? goneAt) < AT_ONCE

/** Killed from outside; or stopped from outside, and then killed by a supervisor that could not know better. */
const isExcused = (pid: string | null, { faults, lines, wasKilled }: ConnectionsSeen): boolean => {
  const own = faults.filter((fault) => String(fault.pid) === pid)
  if (own.some(({ signal }) => signal === 'SIGKILL')) return true
  if (!own.some(({ signal }) => signal === 'SIGSTOP')) return false
  return wasKilled || lines.some((line) => line.includes(' gone: killed: ') && line.includes(`pid ${pid},`))
}

const judgeCounts = (connections: readonly Connection[], faults: readonly Fault[]): string[] => {
  const most = faults.some(({ isPrimary }) => !isPrimary) ? MOST_AT_ONCE_HARMED : MOST_AT_ONCE
  const paused = new Set(faults.filter(({ signal }) => signal === 'SIGSTOP').map(({ pid }) => String(pid)))
  const opened = connections.filter(({ openedAt, pid }) => openedAt !== null && !paused.has(pid ?? ''))
  return opened.flatMap((connection) => {
    const at = connection.openedAt ?? 0
    const others = opened.filter(
      (other) =>
        other.slot === connection.slot &&
        other.path === connection.path &&
        (other.openedAt ?? 0) <= at &&
        (other.goneAt ?? Number.POSITIVE_INFINITY) > at,
    )
    if (others.length <= most) return []
    const pids = others.map(({ id, pid }) => `#${id} pid ${pid}`).join(', ')
    return [`slot ${connection.slot} had ${others.length} connections of ${connection.path} at once: ${pids}`]
  })
}
