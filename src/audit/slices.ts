// Long work in short slices: the event loop gets its turn between them. Of several works at once one has the slice, so
// what is done side by side blocks no longer than what is done alone.

/** ms. A slice may take 10 in all: the step that is going on when it is over, such as a read of a big table, has the rest. */
const SLICE_MS = 3

/** Settles when the slice that was asked for last may begin. */
let last: Promise<void> = Promise.resolve()

export class Slices {
  /** Over from the start: where many works begin at once, each is one step and not one slice. */
  #end = 0
  readonly #signal: AbortSignal | undefined

  /** @throws the reason of `signal` when it is aborted already. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal
    this.throwIfAborted()
  }

  /** To be asked between two short steps; when it says true, `next()` is due. */
  get isOver(): boolean {
    return performance.now() >= this.#end
  }

  /** @throws the signal's reason when it was aborted. */
  async next(): Promise<void> {
    last = last.then(() => new Promise((resolve) => setImmediate(resolve)))
    await last
    this.throwIfAborted()
    this.#end = performance.now() + SLICE_MS
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted()
  }
}
