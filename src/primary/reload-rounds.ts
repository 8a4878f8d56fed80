// Who waits for which rolling restart. A request during a round belongs to the next one, which serves all that came.

import type { OperationResult, Progress } from '../shared/progress.js'

interface Waiter {
  onProgress: ((progress: Progress) => void) | undefined
  settle: (result: OperationResult) => void
}

export interface ReloadRounds {
  /** Waits for the round that begins next. */
  join(onProgress: ((progress: Progress) => void) | undefined): Promise<OperationResult>
  begin(): void
  tell(progress: Progress): void
  end(result: OperationResult): void
  /** No round will come any more. */
  endAll(result: OperationResult): void
}

export const createReloadRounds = (): ReloadRounds => {
  let current: Waiter[] = []
  let next: Waiter[] = []
  let isRunning = false
  const settle = (waiters: Waiter[], result: OperationResult): void => {
    for (const waiter of waiters) waiter.settle(result)
  }
  return {
    join: (onProgress) => new Promise((resolve) => next.push({ onProgress, settle: resolve })),
    begin: () => {
      isRunning = true
      current = next
      next = []
    },
    tell: (progress) => {
      for (const waiter of current) waiter.onProgress?.(progress)
    },
    end: (result) => {
      // A request that was refused at once never had a round of its own.
      const ended = isRunning ? current : next
      if (isRunning) current = []
      else next = []
      isRunning = false
      settle(ended, result)
    },
    endAll: (result) => {
      const ended = [...current, ...next]
      current = []
      next = []
      settle(ended, { ...result, ok: false, exitCode: 5, message: `not rolled: ${result.message}` })
    },
  }
}
