// A pause that can be ended early: by waking, or by an abort, which rejects with the signal's reason.

export interface PauseOptions {
  signal: AbortSignal
  /** Whether it keeps the process alive meanwhile. */
  keepsAlive: boolean
  /** Is given the function that ends the pause. */
  onBegin?: (wake: () => void) => void
}

export const pause = (ms: number, { signal, keepsAlive, onBegin }: PauseOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      resolve()
    }
    const abort = (): void => {
      reject(signal.reason)
      end()
    }
    const timer = setTimeout(end, ms)
    if (!keepsAlive) timer.unref()
    signal.addEventListener('abort', abort, { once: true })
    onBegin?.(end)
  })
