// Gathers what comes in while the disk is busy, so that one fsync serves all of it. Knows no messages: it is given what to
// do with a batch, one at a time and in order.

export class GroupCommit<Item> {
  readonly #commit: (batch: Item[]) => Promise<void>
  readonly #sizeOf: (item: Item) => number
  readonly #maxBytes: number
  #queue: Item[] = []
  #isBusy = false
  #whenIdle: (() => void)[] = []

  /** @param commit never rejects. @param maxBytes of one batch, which has one item at least. */
  constructor(commit: (batch: Item[]) => Promise<void>, sizeOf: (item: Item) => number, maxBytes: number) {
    this.#commit = commit
    this.#sizeOf = sizeOf
    this.#maxBytes = maxBytes
  }

  add(item: Item): void {
    this.#queue.push(item)
    if (this.#isBusy) return
    this.#isBusy = true
    // What comes in the same turn belongs to the first batch.
    queueMicrotask(() => void this.#run())
  }

  /** Settles when nothing waits any more. */
  idle(): Promise<void> {
    return this.#isBusy ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve()
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) await this.#commit(this.#nextBatch())
    this.#isBusy = false
    for (const tell of this.#whenIdle.splice(0)) tell()
  }

  #nextBatch(): Item[] {
    let bytes = 0
    let count = 0
    for (const item of this.#queue) {
      bytes += this.#sizeOf(item)
      if (count > 0 && bytes > this.#maxBytes) break
      count++
    }
    const batch = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count)
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count)
    return batch
  }
}
