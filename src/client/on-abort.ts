// One listener on a signal for all who wait for it: one signal is often given to thousands of calls, and Node warns of a
// leak at eleven listeners.

const callbacks = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls back, once, when the signal aborts; returns the function that takes that back. */
export const onAbort = (signal: AbortSignal, callback: () => void): (() => void) => {
  const waiting = callbacks.get(signal) ?? listen(signal)
  waiting.add(callback)
  return () => void waiting.delete(callback)
}

/** The listener stays as long as the signal does: it is one, and it holds nobody who has been taken out. */
const listen = (signal: AbortSignal): Set<() => void> => {
  const waiting = new Set<() => void>()
  callbacks.set(signal, waiting)
  const fire = (): void => {
    for (const callback of waiting) {
      waiting.delete(callback)
      callback()
    }
  }
  signal.addEventListener('abort', fire, { once: true })
  return waiting
}
