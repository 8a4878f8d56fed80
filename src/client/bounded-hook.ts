// A function of the application under a bound: whatever it does, it is over in time, and nothing of it goes unhandled.

/** null: it did its work. Else what it threw, or that it was too slow. */
type HookFailure = { error: unknown } | { isLate: true } | null

/** Never rejects. The hook's `signal` is aborted when its time is over. */
export const runHookWithin = (ms: number, hook: (signal: AbortSignal) => unknown): Promise<HookFailure> =>
  new Promise((resolve) => {
    const controller = new AbortController()
    const timer = setTimeout(() => {
      resolve({ isLate: true })
      controller.abort()
    }, ms)
    const settle = (failure: HookFailure): void => {
      clearTimeout(timer)
      resolve(failure)
    }
    const run = async (): Promise<unknown> => hook(controller.signal)
    run().then(
      () => settle(null),
      (error: unknown) => settle({ error }),
    )
  })
