// The machine stage as the simulation has it: a lock with the same fate as its process, and epochs that only grow. How it
// is made of a kernel lock and records is the explorer's matter.

import type { SimProcess } from './sim-process.js'

export class MachineLease {
  #holder: SimProcess | null = null
  #epoch = 0
  readonly #waiting = new Map<SimProcess, () => void>()

  /** @returns the epoch; null: somebody else has it, and `whenFree` is called when it is worth while to try again. */
  tryTake(process: SimProcess, whenFree: () => void): number | null {
    if (this.#holder !== null) {
      this.#waiting.set(process, whenFree)
      return null
    }
    this.#holder = process
    this.#waiting.delete(process)
    process.onDeath(() => this.free(process))
    return ++this.#epoch
  }

  /** Gives it back, or waits no more. */
  free(process: SimProcess): void {
    this.#waiting.delete(process)
    if (this.#holder !== process) return
    this.#holder = null
    for (const [other, whenFree] of this.#waiting) other.receive(0, whenFree)
  }

  isHeldBy(process: SimProcess): boolean {
    return this.#holder === process
  }

  get isFree(): boolean {
    return this.#holder === null
  }
}
