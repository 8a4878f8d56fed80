// Which states of record-world.ts are the same, under another number or at another time.

import { type RecordState, SOON_STALE, STALE_LOOKS, TICK } from './record-state.js'

/** Longer ago than anything that is compared. */
const LONG_AGO = 9 * TICK

/**
 * Numbers begin at 1 again, times at 0. What lies below a number that somebody wrote, and is nobody's any more, changes
 * nothing: whoever reads it goes by the higher one.
 */
export const normalise = (state: RecordState, isTimed: boolean): void => {
  const stale = isTimed ? STALE_LOOKS : SOON_STALE
  const busy = new Set(
    state.processes.flatMap(({ life, taking, number, listed }) =>
      life === 'dead' ? [] : [taking.own, number, ...listed.map(({ n }) => n)],
    ),
  )
  const written = state.entries.findLastIndex(({ json, isReleased }) => json !== null || isReleased)
  state.entries = state.entries.filter(
    ({ n, lockBy, json, isReleased }, index) =>
      (index >= written || busy.has(n)) && (lockBy !== null || json !== null || isReleased),
  )
  const renumbered = renumbering(state, busy)
  for (const entry of state.entries) entry.n = renumbered(entry.n)
  state.lastHeld = renumbered(state.lastHeld)
  for (const process of state.processes) {
    const { taking } = process
    const now = state.now + process.clock
    const ago = (at: number): number => Math.max(at - now, -LONG_AGO)
    process.clock = 0
    if (process.life === 'dead' || process.doing === 'done') {
      Object.assign(process, {
        ...{ number: 0, listed: [], refreshedAt: 0, refreshing: null, isRefreshDue: false, waitsUntil: 0 },
        ...{ mayTake: false, isSlow: false, isHeldUp: false, next: 'started' },
        taking: { phase: 'idle', own: null, began: 0, looks: [], told: null, isAbandoned: false },
      })
      continue
    }
    taking.told = null
    if (taking.own !== null) taking.own = renumbered(taking.own)
    process.number = renumbered(process.number)
    process.listed = process.listed.map((one) => ({ ...one, n: renumbered(one.n) }))
    const known = new Set([...state.entries, ...process.listed].map(({ n }) => n))
    taking.looks = taking.looks
      .map((look) => ({
        ...look,
        n: renumbered(look.n),
        last: ago(look.last),
        count: Math.min(look.count, stale),
      }))
      .filter(({ n }) => known.has(n))
    taking.began = taking.own === null ? 0 : ago(taking.began)
    process.refreshedAt = process.number === 0 ? 0 : ago(process.refreshedAt)
    if (process.refreshing !== null) process.refreshing = ago(process.refreshing)
    process.waitsUntil = isTimed ? Math.max(process.waitsUntil - now, 0) : 0
    if (!isTimed) taking.began = 0
  }
  state.now = 0
}

/**
 * Only order, equality and whether one number follows another right away matter: wider gaps are made narrow. 0 stays 0:
 * no number.
 */
const renumbering = (state: RecordState, busy: ReadonlySet<number | null>): ((n: number) => number) => {
  const looked = state.processes.flatMap(({ taking }) => taking.looks.map(({ n }) => n))
  const all = new Set([...busy, ...looked, state.lastHeld, ...state.entries.map(({ n }) => n)])
  const numbers = [...all].flatMap((n) => (n === null || n === 0 ? [] : [n])).sort((x, y) => x - y)
  const to = new Map<number, number>([[0, 0]])
  let last = 0
  for (const [index, n] of numbers.entries()) {
    const before = numbers[index - 1]
    last = before === undefined ? 1 : last + Math.min(n - before, 2)
    to.set(n, last)
  }
  return (n) => to.get(n) ?? 0
}

export const copyState = (state: RecordState): RecordState => ({
  ...state,
  entries: state.entries.map((entry) => ({ ...entry })),
  processes: state.processes.map((process) => ({
    ...process,
    taking: { ...process.taking, looks: process.taking.looks.map((look) => ({ ...look })) },
  })),
  faults: { ...state.faults },
})

export const key = ({ entries, kernel, lastHeld, faults, left, broken, processes }: RecordState): string => {
  let text = `${kernel} ${lastHeld} ${left} ${faults.kill}${faults.stop}${faults.block}${faults.slow} ${broken ?? ''}`
  for (const { n, lockBy, refreshed, json, isReleased } of entries)
    text += `|${n},${lockBy ?? ''},${refreshed},${json ?? ''},${isReleased ? 'r' : ''}`
  for (const process of processes) {
    const { taking } = process
    text += `;${process.life[0]}${process.blockedFor}${process.doing}`
    if (process.life === 'dead' || process.doing === 'done') continue
    text += `${process.next[0]}${process.mayTake ? 'm' : ''}${process.isOpen ? 'o' : ''}${process.isSlow ? 's' : ''}${process.isHeldUp ? 'h' : ''}`
    text += `${process.isRefreshDue ? 'd' : ''} ${process.number} ${process.refreshedAt} ${process.refreshing ?? ''}`
    text += ` ${process.waitsUntil} ${taking.phase} ${taking.own ?? ''} ${taking.began}`
    for (const { n, of: seen, count, last } of taking.looks) text += `,${n} ${seen} ${count} ${last}`
    for (const { n, hasLock, json } of process.listed) text += `:${n}${hasLock ? 'l' : ''}${json}`
  }
  return text
}
