// The application's own stop listeners, run at the end of the drain: SIGTERM's, or where it has none SIGINT's.
// They find a process whose requests are answered and whose clients are closed; most of them end with process.exit().

import { settledWithin } from '../shared/settled-within.js'
import type { StopSignals } from './stop-signals.js'

/** How long listeners that return nothing get to end the process by themselves: they may wait for callbacks. */
const EXIT_GRACE = 5_000

export type Farewell = { signal: 'SIGTERM' | 'SIGINT'; listeners: ((...args: unknown[]) => unknown)[] }

/** What to run at the end, or null where the application listens to neither signal. */
export const farewellOf = (signals: StopSignals): Farewell | null => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const listeners = signals.appListeners(signal)
    if (listeners.length > 0) return { signal, listeners }
  }
  return null
}

/**
 * Calls the listeners as Node would, and waits: for promises that they return as long as there is time, otherwise
 * until nothing keeps the process alive any more, or for 5 s.
 *
 * What a listener throws, or a promise it returned rejects with, ends the process as it would have without us.
 *
 * @param timeLeft ms in all.
 * @param release makes everything of ours stop keeping the process alive; what is left is the application's.
 */
export const sayFarewell = async (
  { signal, listeners }: Farewell,
  timeLeft: number,
  release: () => void,
): Promise<void> => {
  const number = signal === 'SIGTERM' ? 15 : 2
  const promises: Promise<unknown>[] = []
  for (const listener of listeners) {
    try {
      const result = Reflect.apply(listener, process, [signal, number])
      if (isThenable(result)) {
        const promise = Promise.resolve(result)
        promises.push(promise)
        // Without a rejection handler on purpose: a rejection stays an unhandled one.
        void promise.then(() => {})
      }
    } catch (error) {
      setImmediate(() => {
        throw error
      })
    }
  }
  if (promises.length > 0) {
    await settledWithin(Promise.allSettled(promises), timeLeft)
    return
  }
  release()
  await new Promise<void>((resolve) => {
    process.once('beforeExit', () => resolve())
    setTimeout(resolve, Math.min(EXIT_GRACE, timeLeft)).unref()
  })
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
