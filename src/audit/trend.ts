// How the number of connections to each endpoint went over the last looks: a leak that is too slow for one look shows as a
// slope. Pure: who looks, and when, is src/primary/audit-desk.ts.

export interface TrendPoint {
  /** ms since 1970. */
  at: number
  count: number
}

/** Oldest first. */
export type Trend = readonly TrendPoint[]

/** An hour of looks, one a minute. */
export const MAX_POINTS = 60
/** A service with more upstreams than this has its busiest watched. */
const MAX_ENDPOINTS = 500

export class TrendHistory {
  readonly #trends = new Map<string, TrendPoint[]>()

  /** @param counts connections by endpoint; one that is not there has none. */
  add(at: number, counts: ReadonlyMap<string, number>): void {
    const busiest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_ENDPOINTS)
    const now = new Map(busiest)
    for (const endpoint of this.#trends.keys()) if (!now.has(endpoint)) now.set(endpoint, 0)
    for (const [endpoint, count] of now) {
      const points = [...(this.#trends.get(endpoint) ?? []), { at, count }].slice(-MAX_POINTS)
      // Nothing to see any more.
      if (points.every((point) => point.count === 0)) this.#trends.delete(endpoint)
      else this.#trends.set(endpoint, points)
    }
    this.#forgetSmallest()
  }

  trends(): Map<string, Trend> {
    return new Map([...this.#trends].map(([endpoint, points]) => [endpoint, [...points]]))
  }

  #forgetSmallest(): void {
    const excess = this.#trends.size - MAX_ENDPOINTS
    if (excess <= 0) return
    const bySize = [...this.#trends].sort(([, a], [, b]) => (a.at(-1)?.count ?? 0) - (b.at(-1)?.count ?? 0))
    for (const [endpoint] of bySize.slice(0, excess)) this.#trends.delete(endpoint)
  }
}

/** The same by names: what has several addresses is one endpoint. */
export const nameTrends = (
  trends: ReadonlyMap<string, Trend>,
  names: ReadonlyMap<string, string>,
): Map<string, Trend> => {
  const named = new Map<string, Map<number, number>>()
  for (const [address, trend] of trends) {
    const name = names.get(address) ?? address
    const counts = named.get(name) ?? new Map<number, number>()
    for (const { at, count } of trend) counts.set(at, (counts.get(at) ?? 0) + count)
    named.set(name, counts)
  }
  return new Map(
    [...named].map(([name, counts]) => [
      name,
      [...counts].sort(([a], [b]) => a - b).map(([at, count]) => ({ at, count })),
    ]),
  )
}

/** The part at the end of a trend in which it never fell, and what it is about. */
export interface Growth {
  from: TrendPoint
  to: TrendPoint
  /** In how many looks there were more than in the one before. */
  steps: number
  perHour: number
  /** Whether it grew within the last few looks. */
  isGoingOn: boolean
}

/** A leak may be slower than the looks; a pool that was filled an hour ago is none. */
const LATELY = 10

/** The growth at the end of a trend; null where it is flat, falling, or too short to say. */
export const growthOf = (trend: Trend): Growth | null => {
  let first = trend.length - 1
  while (first > 0 && (trend[first - 1]?.count ?? 0) <= (trend[first]?.count ?? 0)) first--
  const rising = trend.slice(Math.max(0, first))
  const [from] = rising
  const to = rising.at(-1)
  if (from === undefined || to === undefined || to.count <= from.count) return null
  const steps = rising.filter(
    (point, index) => point.count > (rising[index - 1]?.count ?? point.count),
  ).length
  const hours = (to.at - from.at) / 3_600_000
  const before = rising.at(-1 - LATELY) ?? from
  return {
    from,
    to,
    steps,
    perHour: hours > 0 ? (to.count - from.count) / hours : 0,
    isGoingOn: to.count > before.count,
  }
}

/** `+12 an hour` */
export const formatSlope = (perHour: number): string => {
  const rounded = Math.abs(perHour) >= 10 ? Math.round(perHour) : Math.round(perHour * 10) / 10
  return `${rounded >= 0 ? '+' : ''}${rounded} an hour`
}
