// Waiting with a deadline that says what it waited for and what it saw last. The one place where tests poll: only for
// the outside world that tells nobody of its changes, such as /proc. What emits events is waited for by its events.

const DEFAULT_TIMEOUT = 10_000
const POLL_INTERVAL = 10

export interface Wait {
  /** Completes "waited for …". */
  what: string
  /** ms, default 10 000. */
  timeout?: number
}

/** The promise's value, or an error at the deadline; `last` tells the state at that moment. */
export const withDeadline = async <Value>(
  promise: Promise<Value>,
  { what, timeout = DEFAULT_TIMEOUT, last }: Wait & { last?: () => string },
): Promise<Value> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate(what, timeout, last?.())), timeout)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Looks at the outside world until it is as wanted.
 *
 * @param look answers what it sees now.
 * @param isWanted whether that is what was waited for.
 * @returns what it saw then.
 */
export const eventually = async <Seen>(
  look: () => Seen | Promise<Seen>,
  isWanted: (seen: Seen) => boolean,
  { what, timeout = DEFAULT_TIMEOUT }: Wait,
): Promise<Seen> => {
  const end = performance.now() + timeout
  for (;;) {
    const seen = await look()
    if (isWanted(seen)) return seen
    if (performance.now() >= end) throw tooLate(what, timeout, describe(seen))
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL))
  }
}

const tooLate = (what: string, timeout: number, last: string | undefined): Error =>
  new Error(`waited ${timeout} ms for ${what}${last === undefined ? '' : `; last seen: ${last}`}`)

const describe = (seen: unknown): string => {
  if (seen instanceof Map || seen instanceof Set) return JSON.stringify([...seen])
  return (typeof seen === 'string' ? seen : (JSON.stringify(seen) ?? String(seen))).slice(0, 4_000)
}
