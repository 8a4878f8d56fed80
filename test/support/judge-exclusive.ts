// Whether an identity had one connection at a time, and whether what senders were told of their messages is true: from
// what the upstream wrote down (exclusive-log.ts) and what the senders did (sender-journal.ts). Pure.
//
// A connection is open from the moment the upgrade was answered until the client has closed its TCP socket, or the Close
// handshake is complete: a Close frame alone ends nothing, its answer may still be on the way. Closed is what the kernel of
// the upstream's machine calls closed, not what the upstream's loop has come to read.

import type { UpstreamEvent } from './exclusive-log.js'
import type { Journal } from './sender-journal.js'

/** A second connection was opened beside one that was open. */
export interface Overlap {
  identity: string
  first: string
  second: string
  /** Until one of them was over (ms); to the end of the log when neither was. */
  ms: number
}

export interface Gap {
  identity: string
  /** From the end of one connection to the opening of the next (ms). */
  ms: number
  from: string
  to: string
}

export interface Judgement {
  overlaps: Overlap[]
  gaps: Gap[]
  /** Confirmed, and never arrived. */
  lost: string[]
  /** Never arrived, of senders that ended in order: for `resend`, once all is calm. */
  missing: string[]
  /** Arrived more than once. */
  doubled: string[]
  /** Arrived for the first time behind a later one of the same sender. */
  reordered: string[]
  /** Rejected as never sent, and arrived. */
  denied: string[]
  /** Rejected, with whatever code, of senders that ended in order. */
  rejected: string[]
  /** The sender ended in order, and its promise was never settled. */
  unsettled: string[]
  /** Arrived, and nobody sent it. */
  strange: string[]
}

const NEVER_SENT: readonly string[] = [
  'FORKSAFE_ERR_CLIENT_NOT_SENT',
  'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT',
  'FORKSAFE_ERR_CLIENT_EXPIRED',
  'FORKSAFE_ERR_CLIENT_ABORTED',
  'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
  'FORKSAFE_ERR_CLIENT_CLOSED',
  'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED',
]

export const judgeExclusive = (
  events: readonly UpstreamEvent[],
  journals: readonly Journal[],
): Judgement => ({
  ...judgeConnections(events),
  ...judgeMessages(events, journals),
})

interface Span {
  identity: string
  who: string
  connection: number
  from: number
  to: number
}

export const judgeConnections = (events: readonly UpstreamEvent[]): Pick<Judgement, 'overlaps' | 'gaps'> => {
  const overlaps: Overlap[] = []
  const gaps: Gap[] = []
  for (const spans of groupSpans(events).values()) {
    spans.forEach((second, index) => {
      const before = spans.slice(0, index)
      const beside = before.filter(({ to }) => to > second.from)
      for (const first of beside)
        overlaps.push({
          identity: second.identity,
          first: nameOf(first),
          second: nameOf(second),
          ms: Math.min(first.to, second.to) - second.from,
        })
      const last = before.reduce<Span | null>(
        (late, span) => (late === null || span.to > late.to ? span : late),
        null,
      )
      if (last !== null && beside.length === 0)
        gaps.push({
          identity: second.identity,
          ms: second.from - last.to,
          from: nameOf(last),
          to: nameOf(second),
        })
    })
  }
  return { overlaps, gaps }
}

const nameOf = ({ connection, who }: Span): string => `#${connection} of ${who}`

/** The connections of each identity, in the order of their opening. */
const groupSpans = (events: readonly UpstreamEvent[]): Map<string, Span[]> => {
  const spans = new Map<number, Span>()
  const byIdentity = new Map<string, Span[]>()
  const end = events.at(-1)?.at ?? 0
  for (const event of events) {
    if (event.type === 'open') {
      const { connection, identity, who, at } = event
      const span = { identity, who, connection, from: at, to: Number.POSITIVE_INFINITY }
      spans.set(connection, span)
      byIdentity.set(identity, [...(byIdentity.get(identity) ?? []), span])
    } else if (event.type === 'gone' || event.type === 'handshake') {
      const span = spans.get(event.connection)
      if (span !== undefined) span.to = Math.min(span.to, event.at)
    }
  }
  // What the log does not end lasts to its end, and a moment longer: an opening in its last line is beside it.
  for (const span of spans.values()) if (span.to === Number.POSITIVE_INFINITY) span.to = end + 1e-3
  return byIdentity
}

const judgeMessages = (
  events: readonly UpstreamEvent[],
  journals: readonly Journal[],
): Omit<Judgement, 'overlaps' | 'gaps'> => {
  const found: Omit<Judgement, 'overlaps' | 'gaps'> = {
    lost: [],
    missing: [],
    doubled: [],
    reordered: [],
    denied: [],
    rejected: [],
    unsettled: [],
    strange: [],
  }
  const arrivals = arrivalsBySender(events)
  for (const { sender, sent, hasEnded } of journals) {
    const arrived = arrivals.get(sender) ?? []
    arrivals.delete(sender)
    const times = new Map<number, number>()
    for (const number of arrived) times.set(number, (times.get(number) ?? 0) + 1)
    for (const [number, outcome] of sent) {
      const name = `${sender} ${number}`
      const isThere = times.has(number)
      if (outcome !== null && 'level' in outcome && !isThere) found.lost.push(name)
      if (outcome !== null && 'code' in outcome && NEVER_SENT.includes(outcome.code) && isThere)
        found.denied.push(`${name} (${outcome.code})`)
      if (!hasEnded) continue
      if (!isThere)
        found.missing.push(`${name}${outcome !== null && 'code' in outcome ? ` (${outcome.code})` : ''}`)
      if (outcome === null) found.unsettled.push(name)
      else if ('code' in outcome) found.rejected.push(`${name} (${outcome.code})`)
    }
    for (const [number, count] of times) {
      if (count > 1) found.doubled.push(`${sender} ${number} (${count} times)`)
      if (!sent.has(number)) found.strange.push(`${sender} ${number}`)
    }
    found.reordered.push(...disorderOf(sender, [...times.keys()], sent))
  }
  for (const [sender, numbers] of arrivals)
    found.strange.push(...numbers.map((number) => `${sender} ${number}`))
  return found
}

/** In the order of arrival, doubles included. */
const arrivalsBySender = (events: readonly UpstreamEvent[]): Map<string, number[]> => {
  const arrivals = new Map<string, number[]>()
  for (const event of events) {
    if (event.type !== 'got') continue
    const numbers = arrivals.get(event.sender)
    if (numbers === undefined) arrivals.set(event.sender, [event.number])
    else numbers.push(event.number)
  }
  return arrivals
}

/**
 * Without the doubles the order is that of sending. Not so what its sender was told to be lost or of unknown fate: it may
 * come late from where it was then.
 */
const disorderOf = (sender: string, firsts: readonly number[], sent: Journal['sent']): string[] => {
  let last = Number.NEGATIVE_INFINITY
  return firsts.flatMap((number) => {
    const outcome = sent.get(number) ?? null
    if (outcome !== null && 'code' in outcome) return []
    if (number < last) return [`${sender} ${number} behind ${last}`]
    last = number
    return []
  })
}

export interface Demands {
  /** Whether a message may arrive twice: with `resend`, when a connection may have died of a fault. */
  mayDouble: boolean
  /** Whether everything that a sender that ended in order had sent is to be there: `resend`, and the end was calm. */
  isAllOwed: boolean
}

/** More than a few say nothing new. */
const MOST_NAMED = 5

/** What breaks a promise, a line each. */
export const violationsOf = (judgement: Judgement, { mayDouble, isAllOwed }: Demands): string[] => {
  const { lost, missing, doubled, reordered, denied, rejected, unsettled, strange } = judgement
  const told: [what: string, names: readonly string[]][] = [
    ['confirmed and never arrived', lost],
    ['rejected as never sent and arrived', denied],
    ['arrived out of order', reordered],
    ['never settled', unsettled],
    ['arrived and sent by nobody', strange],
    ['arrived more than once', mayDouble ? [] : doubled],
    ['never arrived, though nothing stood in the way', isAllOwed ? missing : []],
    ['rejected, though nothing stood in the way', isAllOwed ? rejected : []],
  ]
  const overlaps = judgement.overlaps.map(
    ({ identity, first, second, ms }) =>
      `two connections of ${identity} at once for ${ms.toFixed(1)} ms: ${second} was opened beside ${first}`,
  )
  const unnamed = overlaps.length - MOST_NAMED
  return [
    ...overlaps.slice(0, MOST_NAMED),
    ...(unnamed > 0 ? [`… and ${unnamed} times more`] : []),
    ...told.flatMap(([what, names]) => {
      if (names.length === 0) return []
      const more = names.length > MOST_NAMED ? ' …' : ''
      return [`${names.length} messages ${what}: ${names.slice(0, MOST_NAMED).join(', ')}${more}`]
    }),
  ]
}
