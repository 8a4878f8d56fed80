// The changes that were asked for and not begun yet, in their order, coalesced: what asks for the same as the last one
// that waits is answered together with it. Pure data; src/primary/supervisor-core.ts takes from it.

import type { ChangeOrder } from './commands.js'

/** Who asks, each answered once. */
export interface WaitingChange {
  ids: number[]
  order: ChangeOrder
}

/** More requests than anybody waits for are refused rather than kept. */
const MAX_WAITING = 1_000

export class ChangeQueue {
  #waiting: WaitingChange[] = []

  get length(): number {
    return this.#waiting.length
  }

  /** False: there are too many already, and this one was not taken. */
  add(id: number, order: ChangeOrder): boolean {
    const last = this.#waiting.at(-1)
    const joined = last === undefined ? null : coalesced(last.order, order)
    if (last !== undefined && joined !== null) {
      last.order = joined
      last.ids.push(id)
      return true
    }
    if (this.#waiting.length >= MAX_WAITING) return false
    this.#waiting.push({ ids: [id], order })
    return true
  }

  take(): WaitingChange | undefined {
    return this.#waiting.shift()
  }

  /** Empties it. */
  takeAll(): WaitingChange[] {
    return this.#waiting.splice(0)
  }
}

/** One order that does what both ask for, or null where they have to be done one after the other. */
const coalesced = (earlier: ChangeOrder, later: ChangeOrder): ChangeOrder | null => {
  if (earlier.kind !== later.kind) return null
  if (earlier.kind === 'scale' && later.kind === 'scale') {
    // Who asked for a number that is overtaken before it was reached would be told a lie.
    if ('by' in earlier && 'by' in later) return { kind: 'scale', by: earlier.by + later.by }
    return 'to' in earlier && 'to' in later && earlier.to === later.to ? earlier : null
  }
  return earlier
}
