// Who waits for a message to be settled, by client and id. It keeps no fates: whoever settles tells it, once.

import type { Fate } from './messages.js'

type Listener = (fate: Fate | null) => void

export class SettleWatch {
  readonly #listeners = new Map<string, Set<Listener>>()

  get size(): number {
    return this.#listeners.size
  }

  /** Calls back once, unless the returned function was called before. */
  wait(client: string, id: string, listener: Listener): () => void {
    const key = keyOf(client, id)
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(listener))
    return () => {
      if (listeners.delete(listener) && listeners.size === 0 && this.#listeners.get(key) === listeners)
        this.#listeners.delete(key)
    }
  }

  /** The usual case costs a look at an empty map: few callers wait. */
  isAwaited(client: string, id: string): boolean {
    return this.#listeners.size > 0 && this.#listeners.has(keyOf(client, id))
  }

  settled(client: string, id: string, fate: Fate | null): void {
    const key = keyOf(client, id)
    const listeners = this.#listeners.get(key)
    if (listeners === undefined) return
    this.#listeners.delete(key)
    for (const listener of listeners) listener(fate)
  }

  /** Everything that is waited for now. */
  waiting(): { client: string; id: string }[] {
    return [...this.#listeners.keys()].map((key) => {
      const at = key.indexOf(' ')
      return { client: key.slice(0, at), id: key.slice(at + 1) }
    })
  }
}

/** Neither holds a space. */
const keyOf = (client: string, id: string): string => `${client} ${id}`
