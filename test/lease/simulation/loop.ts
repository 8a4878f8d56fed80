// Virtual time: what is due is done in the order of its moments, and of its coming where moments are equal. Processes
// with their pauses are sim-process.ts.

export interface Due {
  readonly at: number
  readonly order: number
  readonly run: () => void
  isCleared: boolean
}

export class Loop {
  now = 0
  #order = 0
  /** A binary heap, the next one first. */
  readonly #heap: Due[] = []

  after(ms: number, run: () => void): Due {
    const due: Due = { at: this.now + ms, order: this.#order++, run, isCleared: false }
    const heap = this.#heap
    let at = heap.push(due) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(due, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = due
    return due
  }

  /** Until that moment, all that is due at it included. */
  runUntil(time: number, isOver: () => boolean): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= time; next = this.#heap[0]) {
      this.#removeFirst()
      if (next.isCleared) continue
      this.now = next.at
      next.run()
      if (isOver()) return
    }
    this.now = time
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      const left = heap[below]
      if (left === undefined) break
      const right = heap[below + 1]
      let child = left
      if (right !== undefined && isBefore(right, left)) {
        child = right
        below++
      }
      if (!isBefore(child, last)) break
      heap[at] = child
      at = below
    }
    heap[at] = last
  }
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
