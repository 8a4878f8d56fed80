// Long work in short slices: the event loop gets its turn between them.

/** ms that one slice lasts. Half of what a slice may take: the step that runs when it is over has the rest. */
const SLICE_MS = 5

export class Slices {
  #end = performance.now() + SLICE_MS
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
    await new Promise((resolve) => setImmediate(resolve))
    this.throwIfAborted()
    this.#end = performance.now() + SLICE_MS
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted()
  }
}
