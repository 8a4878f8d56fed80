// Who waits for which change of the workers, and hears how it goes on. Which requests are carried out together is the
// core's decision (src/primary/change-queue.ts); here are only the promises.

import type { OperationResult, Progress } from '../shared/progress.js'

interface Waiter {
  onProgress: ((progress: Progress) => void) | undefined
  settle: (result: OperationResult) => void
}

export class ChangeRequests {
  readonly #waiters = new Map<number, Waiter>()
  #current: readonly number[] = []
  #last = 0

  /** A new request; `result` settles when the core has answered it. */
  open(onProgress?: (progress: Progress) => void): { request: number; result: Promise<OperationResult> } {
    const request = ++this.#last
    const result = new Promise<OperationResult>((settle) =>
      this.#waiters.set(request, { onProgress, settle }),
    )
    return { request, result }
  }

  /** From here on progress is theirs. */
  begun(requests: readonly number[]): void {
    this.#current = requests
  }

  tell(progress: Progress): void {
    for (const request of this.#current) this.#waiters.get(request)?.onProgress?.(progress)
  }

  ended(requests: readonly number[], result: OperationResult): void {
    if (requests === this.#current) this.#current = []
    for (const request of requests) {
      this.#waiters.get(request)?.settle(result)
      this.#waiters.delete(request)
    }
  }
}
