// Whether a client told the truth about its messages: what it said of each, beside what arrived at the server. Pure.
// Who recorded the arrivals is recording-server.ts; messages are told apart by their numbers, which grow.

/** What the sender was told in the end; null: nothing. */
export type Outcome = { level: string } | { code: string } | null

export interface Sent {
  number: number
  /** Characters of the whole message. */
  size: number
  outcome: Outcome
}

/** In the order in which the server took them in. */
export interface Arrival {
  /** Unique over all servers that ran one after the other. */
  connection: string
  number: number
  size: number
}

export interface Delivery {
  sent: readonly Sent[]
  arrivals: readonly Arrival[]
  onUnconfirmed: 'reject' | 'resend'
  /** Whether `resend` had the time to bring everything: nothing bounded a message, and the end was calm. */
  isAllOwed: boolean
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
const FATE_UNKNOWN = 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'

/** More than a few say nothing new. */
const MOST_TOLD = 10

/** What is wrong, a line each; none is the truth. */
export const judgeDelivery = (delivery: Delivery): string[] => {
  const found = [
    ...judgeWords(delivery),
    ...judgeOrder(delivery),
    ...(delivery.onUnconfirmed === 'reject' ? judgeAtMostOnce(delivery) : judgeAtLeastOnce(delivery)),
  ]
  const more = found.length - MOST_TOLD
  return more > 0 ? [...found.slice(0, MOST_TOLD), `… and ${more} more`] : found
}

/** Each message beside what was said of it. */
const judgeWords = ({ sent, arrivals }: Delivery): string[] => {
  const arrived = new Set(arrivals.map(({ number }) => number))
  const sizes = new Map(sent.map(({ number, size }) => [number, size]))
  const said = sent.flatMap(({ number, outcome }) => {
    if (outcome === null) return [`message ${number} was never settled`]
    if ('level' in outcome)
      return arrived.has(number)
        ? []
        : [`message ${number} was confirmed as ${outcome.level} and never arrived`]
    if (outcome.code === FATE_UNKNOWN) return []
    if (!NEVER_SENT.includes(outcome.code)) return [`message ${number} was rejected with ${outcome.code}`]
    return arrived.has(number) ? [`message ${number} was rejected with ${outcome.code} and arrived`] : []
  })
  const strange = arrivals
    .filter(({ number, size }) => sizes.get(number) !== size)
    .map(({ number, size }) => `message ${number} of ${size} characters arrived, and was not sent like that`)
  return [...said, ...strange]
}

/** On one connection numbers only grow. */
const judgeOrder = ({ arrivals }: Delivery): string[] => {
  const last = new Map<string, number>()
  return arrivals.flatMap(({ connection, number }) => {
    const before = last.get(connection) ?? Number.NEGATIVE_INFINITY
    last.set(connection, number)
    return number > before ? [] : [`message ${number} arrived behind ${before} on connection ${connection}`]
  })
}

const judgeAtMostOnce = ({ arrivals }: Delivery): string[] => {
  const seen = new Set<number>()
  return arrivals.flatMap(({ number }) => {
    const isDouble = seen.has(number)
    seen.add(number)
    return isDouble ? [`message ${number} arrived twice, though nothing is to be sent again`] : []
  })
}

/**
 * Without the doubles the order is that of sending, whatever happened between. Not so what was given up after it had been
 * written: it may still come from an old connection when the new one is ahead.
 */
const judgeAtLeastOnce = ({ sent, arrivals, isAllOwed }: Delivery): string[] => {
  const givenUp = new Set(
    sent.flatMap(({ number, outcome }) => (outcome !== null && 'code' in outcome ? [number] : [])),
  )
  const all = [...new Set(arrivals.map(({ number }) => number))]
  const firsts = all.filter((number) => !givenUp.has(number))
  const disorder = firsts.flatMap((number, index) => {
    const before = firsts[index - 1] ?? Number.NEGATIVE_INFINITY
    return number > before ? [] : [`message ${number} arrived for the first time behind ${before}`]
  })
  if (!isAllOwed) return disorder
  const arrived = new Set(all)
  const lost = sent.filter(({ number }) => !arrived.has(number))
  return [
    ...disorder,
    ...lost.map(({ number }) => `message ${number} was lost`),
    ...[...givenUp].map((number) => `message ${number} was rejected, though it could be sent again`),
  ]
}
