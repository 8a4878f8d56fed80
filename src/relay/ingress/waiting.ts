// Requests that wait for the fate of their message (`Prefer: wait`): each until it is settled, its time is up, its caller
// has gone, or this process drains, whichever comes first.

import type { RelayDoor } from '../door.js'
import type { Fate } from '../messages.js'

export class Waiting {
  readonly #door: RelayDoor
  readonly #open = new Set<AbortController>()
  #isDraining = false

  constructor(door: RelayDoor) {
    this.#door = door
  }

  /** From now on nobody waits. */
  beginDrain(): void {
    this.#isDraining = true
    for (const waiter of this.#open) waiter.abort()
  }

  /**
   * What is known then; null where nothing is.
   *
   * @param onGone calls what it is given when the caller has gone.
   */
  async fate(
    client: string,
    id: string,
    seconds: number,
    onGone: (stop: () => void) => void,
  ): Promise<Fate | null> {
    if (this.#isDraining) return null
    const waiter = new AbortController()
    const timer = setTimeout(() => waiter.abort(), seconds * 1_000)
    this.#open.add(waiter)
    onGone(() => waiter.abort())
    try {
      return await this.#door.settled(client, id, waiter.signal)
    } catch {
      // Nobody can be asked: it is on disk all the same.
      return null
    } finally {
      clearTimeout(timer)
      this.#open.delete(waiter)
    }
  }
}
