// This worker's end of the IPC channel to the primary, as far as our own messages go.
// The application's process.send and process.on('message') see none of them (src/shared/protocol.ts).

import type { EventEmitter } from 'node:events'
import { type PrimaryMessage, primaryMessageIn, toFrame, type WorkerMessage } from '../shared/protocol.js'

export class PrimaryChannel {
  // Kept, because an application may replace process.send.
  readonly #send = process.send?.bind(process)
  readonly #barriers = new Map<number, () => void>()
  #lastBarrier = 0

  constructor(listener: (message: Exclude<PrimaryMessage, { type: 'barrier' }>) => void) {
    const emitter: EventEmitter = process
    emitter.on('internalMessage', (raw: unknown) => {
      const message = primaryMessageIn(raw)
      if (message?.type === 'barrier') this.#passed(message.id)
      else if (message !== undefined) listener(message)
    })
  }

  /** Never throws. Settles when the message is written (true), or can never be (false). */
  tell(message: WorkerMessage): Promise<boolean> {
    return new Promise((settle) => {
      // With a callback a lost race against the end of the channel is an argument; without one it is an exception.
      if (this.#send === undefined) settle(false)
      else this.#send(toFrame(message), undefined, undefined, (error) => settle(error === null))
    })
  }

  /**
   * Settles when everything that the primary sent before has arrived, sockets included: the answer travels behind
   * them on the same channel. Once the channel is closed nothing can arrive any more.
   */
  barrier(): Promise<void> {
    const id = ++this.#lastBarrier
    return new Promise((settle) => {
      this.#barriers.set(id, settle)
      void this.tell({ type: 'askBarrier', id }).then((written) => {
        if (!written) this.#passed(id)
      })
    })
  }

  /** To be called when the channel is closed. */
  closed(): void {
    for (const id of this.#barriers.keys()) this.#passed(id)
  }

  #passed(id: number): void {
    this.#barriers.get(id)?.()
    this.#barriers.delete(id)
  }
}
