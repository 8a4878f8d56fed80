// Requests that wait for the fate of their message (`Prefer: wait`): each until it is settled, its time is up, its caller
// has gone, or this process drains, whichever comes first.

import type { Socket } from 'node:net'
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
   * @param socket of the caller: when it sends no more, it may have gone, or waits for nothing but its answer.
   */
  async fate(client: string, id: string, seconds: number, socket: Socket): Promise<Fate | null> {
    if (this.#isDraining || socket.destroyed || socket.readableEnded) return null
    const waiter = new AbortController()
    const stop = (): void => waiter.abort()
    const timer = setTimeout(stop, seconds * 1_000)
    this.#open.add(waiter)
    socket.once('end', stop).once('close', stop)
    try {
      return await this.#door.settled(client, id, waiter.signal)
    } catch {
      // Nobody can be asked: it is on disk all the same.
      return null
    } finally {
      clearTimeout(timer)
      this.#open.delete(waiter)
      socket.off('end', stop).off('close', stop)
    }
  }
}
