// Whether something is over, with a signal for who wants one: most attempts end without anybody having asked, and a
// controller costs more than the rest of what an attempt keeps.

export class Ending {
  readonly #reason: Error
  #controller: AbortController | null = null
  #isOver = false

  /** @param reason of the signal; one for all, because making an error is what costs. */
  constructor(reason: Error) {
    this.#reason = reason
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Aborted when it is over. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isOver) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  end(): void {
    this.#isOver = true
    this.#controller?.abort(this.#reason)
  }
}
