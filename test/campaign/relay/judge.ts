// Whether a relay kept its promises, from what its callers were told and what the upstream wrote down. Pure.
//
// Accepted is what was answered 200 or 202, and, of a batch, what was not named with an error. Who calls ticks a clock of
// whole numbers at each call and each answer: "after" is a matter of that clock.

import type { UpstreamEvent } from '../../support/exclusive-log.js'
import { judgeExclusive } from '../../support/judge-exclusive.js'

export interface Published {
  key: string
  number: number
  /** When it was handed in for the first time. */
  begun: number
  /** When it was answered as accepted; null: never, as far as its caller knows. */
  accepted: number | null
  /** Each attempt was refused by the spool itself, and its caller gave up: it must never arrive. */
  isRefused: boolean
}

/** Of some rule at most so many are told. */
const MOST_TOLD = 5

/**
 * @param lives what each upstream wrote down that ran, one after the other; each but the last was killed.
 * @returns what is wrong, a line each.
 */
export const judgeRelay = (
  lives: readonly (readonly UpstreamEvent[])[],
  published: readonly Published[],
): string[] => {
  const arrivals = lives.flatMap((events, life) =>
    events.flatMap((event) =>
      event.type === 'got'
        ? { name: nameOf(event.sender, event.number), connection: `${life + 1}.${event.connection}` }
        : [],
    ),
  )
  const known = new Map(published.map((message) => [nameOf(message.key, message.number), message]))
  const first = new Map<string, number>()
  const doubled: string[] = []
  const on = new Set<string>()
  for (const [at, { name, connection }] of arrivals.entries()) {
    if (!first.has(name)) first.set(name, at)
    if (on.has(`${connection} ${name}`)) doubled.push(`${name} came twice over connection ${connection}`)
    on.add(`${connection} ${name}`)
  }
  const overlaps = lives.flatMap((events) => judgeExclusive(events, []).overlaps)
  const owed = published.filter(({ accepted }) => accepted !== null)
  return [
    ...some(
      owed.map((each) => nameOf(each.key, each.number)).filter((name) => !first.has(name)),
      'was accepted and never arrived',
    ),
    ...some(
      [...first.keys()].filter((name) => !known.has(name)),
      'arrived and was never published',
    ),
    ...some(
      published
        .filter((each) => each.isRefused && first.has(nameOf(each.key, each.number)))
        .map((each) => nameOf(each.key, each.number)),
      'was refused and arrived all the same',
    ),
    ...some(doubled, ''),
    ...some(disorder(known, first), ''),
    ...overlaps.map(
      ({ ms, first: one, second }) =>
        `two upstream connections at once for ${ms.toFixed(1)} ms: ${second} beside ${one}`,
    ),
  ]
}

/** Of a key: one that was handed in after another was accepted, and arrived before it. */
const disorder = (known: ReadonlyMap<string, Published>, first: ReadonlyMap<string, number>): string[] => {
  const found: string[] = []
  /** By key: of those that have arrived, the one that was handed in last. */
  const latest = new Map<string, Published>()
  for (const name of first.keys()) {
    const message = known.get(name)
    if (message === undefined) continue
    const before = latest.get(message.key)
    if (before !== undefined && message.accepted !== null && message.accepted < before.begun)
      found.push(
        `${name} arrived behind ${nameOf(before.key, before.number)}, which was handed in after it was accepted`,
      )
    if (before === undefined || message.begun > before.begun) latest.set(message.key, message)
  }
  return found
}

const nameOf = (key: string, number: number): string => `${key}-${number}`

const some = (names: readonly string[], what: string): string[] => {
  const told = names.slice(0, MOST_TOLD).map((name) => `${name} ${what}`.trim())
  return names.length > MOST_TOLD ? [...told, `… and ${names.length - MOST_TOLD} more: ${what}`] : told
}
