// Long work in short slices: the event loop gets its turn between them.

/** ms that one slice lasts. Half of what a slice may take, for the one step that runs when it is over. */
const SLICE_MS = 5

export class Slices {
  #end = performance.now() + SLICE_MS
  readonly #signal: AbortSignal | undefined

  constructor(signal?: AbortSignal) {
    signal?.throwIfAborted()
    this.#signal = signal
  }

  /** To be asked between two short steps; when it says true, `next()` is due. */
  get isOver(): boolean {
    return performance.now() >= this.#end
  }

  /** @throws the signal's reason when it was aborted. */
  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#signal?.throwIfAborted()
    this.#end = performance.now() + SLICE_MS
  }
}
