// A function of the application under a bound: whatever it does, it is over in time, and nothing of it goes unhandled.

/** null: it did its work. Else what it threw, or that it was too slow. */
type HookFailure = { error: unknown } | { isLate: true } | null

/**
 * Never rejects. The hook's `signal` is aborted when its time is over.
 *
 * @param over when it is aborted, the time is over too. null: nobody waits, and the bound alone keeps no process alive.
 */
export const runHookWithin = (
  ms: number,
  over: AbortSignal | null,
  hook: (signal: AbortSignal) => unknown,
): Promise<HookFailure> =>
  new Promise((resolve) => {
    const controller = new AbortController()
    const settle = (failure: HookFailure): void => {
      clearTimeout(timer)
      over?.removeEventListener('abort', expire)
      resolve(failure)
    }
    const expire = (): void => {
      settle({ isLate: true })
      controller.abort()
    }
    const timer = setTimeout(expire, ms)
    over?.addEventListener('abort', expire)
    if (over === null) timer.unref()
    const run = async (): Promise<unknown> => hook(controller.signal)
    run().then(
      () => settle(null),
      (error: unknown) => settle({ error }),
    )
  })
