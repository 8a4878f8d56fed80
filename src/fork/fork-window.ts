// The fork window: while a worker is forked the primary holds no upstream connection.
// Everything registered in src/shared/resources.ts is suspended and its close awaited, then the hook beforeFork runs,
// the fork itself is synchronous, then afterFork runs and what was open before is opened again.
//
// Why at all, when Node opens sockets close-on-exec: the promise is that every handle has exactly one owner, and it is
// kept by construction, for whatever a beforeFork/afterFork pair or a native addon holds too, not by a flag of libuv.

import { closeInOrder } from '../shared/closing-order.js'
import { formatDuration } from '../shared/duration.js'
import { messageOf } from '../shared/errors.js'
import { onResourceChange, type Resource, resourcesNewestFirst } from '../shared/resources.js'
import type { ForkHook } from '../shared/settings.js'

/** What a bounded step may take over its own bound before it is left behind. */
const GRACE = 200
/** Some ms are usual; a machine that is busy shall not be blind. */
const LOOK = 1_000

export interface ForkWindowOptions {
  /** Bound in ms on closing and `beforeFork` together; then connections are terminated and the fork goes on. */
  timeout: number
  beforeFork?: ForkHook | undefined
  afterFork?: ForkHook | undefined
  warn: (text: string) => void
  /** Looks at this process behind the fork, before anything is opened again; past `LOOK` ms `signal` says that it was. */
  look?: (signal: AbortSignal) => Promise<void>
}

export interface ForkOccasion {
  slots: readonly number[]
  reason: string
}

/** Opens a window, calls `fork` in it, closes it. One at a time: the caller queues. Never rejects unless `fork` throws. */
export const inForkWindow = async <Result>(
  occasion: ForkOccasion,
  options: ForkWindowOptions,
  fork: () => Result,
): Promise<Result> => {
  const { timeout, warn } = options
  const openedAt = performance.now()
  const suspended = new Set<Resource>()
  // A client created while the window is open must not dial in it either.
  const stopWatching = onResourceChange((resource) => {
    if (suspended.has(resource) || !resourcesNewestFirst().includes(resource)) return
    suspended.add(resource)
    void suspend(resource, timeout)
  })
  const suspend = async (resource: Resource, timeout: number): Promise<void> => {
    const isOverdue = (): void => warn(`${resource.name} did not close before a fork`)
    await bounded(resource.suspend({ timeout }), timeout + GRACE, isOverdue).catch(isOverdue)
  }
  try {
    for (const resource of resourcesNewestFirst()) suspended.add(resource)
    await closeInOrder([...suspended], timeout, suspend)
    const left = Math.max(timeout - (performance.now() - openedAt), GRACE)
    await runHook('beforeFork', options.beforeFork, occasion, { timeout: left, warn })
    const forked = fork()
    if (options.look !== undefined) await lookWithin(LOOK, options.look, warn)
    return forked
  } finally {
    stopWatching()
    await runHook('afterFork', options.afterFork, occasion, { timeout, warn })
    // What was opened first is opened first.
    for (const resource of [...suspended].reverse()) resource.resume()
  }
}

const lookWithin = async (
  ms: number,
  look: (signal: AbortSignal) => Promise<void>,
  warn: (text: string) => void,
): Promise<void> => {
  const closing = new AbortController()
  try {
    await bounded(look(closing.signal), ms, () => closing.abort())
  } catch (error) {
    warn(`the look at sockets after a fork failed: ${messageOf(error)}`)
  }
}

const runHook = async (
  name: string,
  hook: ForkHook | undefined,
  occasion: ForkOccasion,
  { timeout, warn }: Pick<ForkWindowOptions, 'timeout' | 'warn'>,
): Promise<void> => {
  if (hook === undefined) return
  try {
    await bounded(Promise.resolve(hook(occasion)), timeout, () =>
      warn(`${name} did not finish within ${formatDuration(timeout)}; the fork goes on`),
    )
  } catch (error) {
    warn(`${name} failed: ${messageOf(error)}; the fork goes on`)
  }
}

const bounded = async (work: Promise<unknown>, ms: number, onTimeout: () => void): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      onTimeout()
      resolve()
    }, ms)
  })
  try {
    await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
