// Who is let into a spool: a repetition is told what became of the first one, what finds no room is refused, and nobody is
// overtaken meanwhile. What is let in goes to the disk; that, and what is known of ids, is log-spool.ts.

import type { AppendOutcome, Fate, NewMessage, Refusal, SpooledMessage } from '../messages.js'
import { messageSize } from './record.js'

export interface AdmissionParts {
  /** Whether there may be a message of this id: asked of an index, which is wrong now and then. */
  mayBeKnown(id: string): boolean
  /** The last message of this id that is remembered. */
  find(id: string): Promise<SpooledMessage | null>
  fateOf(message: SpooledMessage): Fate
  /** Why so many bytes find no room; null: they do. */
  lackOfRoom(size: number): string | null
  /** Makes room, as far as there is any. */
  makeRoom(size: number): Promise<void>
  /** Takes its place in the line for the disk, at once. */
  enqueue(message: NewMessage, size: number): Promise<AppendOutcome>
}

const FULL_RETRY_AFTER = 5

export class Admission {
  readonly #parts: AdmissionParts
  /** By id: those that are being looked up or written. */
  readonly #pending = new Map<string, Promise<AppendOutcome>>()
  /** Settles when the last one that waits for its turn has its place; null: nobody waits. */
  #last: Promise<void> | null = null
  #closed: Refusal | null = null
  #duplicates = 0

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** Repetitions that were told so. */
  get duplicates(): number {
    return this.#duplicates
  }

  /** Everybody is refused from here on. */
  close(refusal: Refusal): void {
    this.#closed = refusal
  }

  /** @param isAgain it is let in although its id is known. */
  async admit(message: NewMessage, isAgain: boolean): Promise<AppendOutcome> {
    const { id } = message
    const same = this.#pending.get(id)
    const outcome = this.#mayGoAtOnce(message, isAgain, same)
      ? this.#letIn(message)
      : this.#admitInTurn(message, isAgain, same)
    this.#pending.set(id, outcome)
    try {
      return await outcome
    } finally {
      if (this.#pending.get(id) === outcome) this.#pending.delete(id)
    }
  }

  #mayGoAtOnce(message: NewMessage, isAgain: boolean, same: Promise<AppendOutcome> | undefined): boolean {
    if (this.#closed !== null) return true
    if (same !== undefined || this.#last !== null) return false
    return (
      this.#parts.lackOfRoom(messageSize(message)) === null &&
      (isAgain || !this.#parts.mayBeKnown(message.id))
    )
  }

  /**
   * One that waits for another of its id, or has to be looked up on the disk (two ids of one hash are enough), is not
   * overtaken by those behind it.
   */
  async #admitInTurn(
    message: NewMessage,
    isAgain: boolean,
    same: Promise<AppendOutcome> | undefined,
  ): Promise<AppendOutcome> {
    const { mayBeKnown, find } = this.#parts
    const { id } = message
    const before = this.#last
    let pass = (): void => {}
    const own = new Promise<void>((resolve) => {
      pass = resolve
    })
    this.#last = own
    try {
      await before
      await same?.catch(() => {})
      const known = isAgain || !mayBeKnown(id) ? null : await find(id)
      if (known !== null) return this.#tellKnown(known, message)
      const size = messageSize(message)
      if (this.#parts.lackOfRoom(size) !== null) await this.#parts.makeRoom(size)
      // Not awaited: its place is taken, and the next one's turn has come.
      return this.#letIn(message)
    } finally {
      pass()
      if (this.#last === own) this.#last = null
    }
  }

  #tellKnown(known: SpooledMessage, message: NewMessage): AppendOutcome {
    const { id } = message
    if (!isSame(known, message)) return { outcome: 'conflict', id }
    this.#duplicates++
    return { outcome: 'duplicate', id, fate: this.#parts.fateOf(known) }
  }

  #letIn(message: NewMessage): Promise<AppendOutcome> {
    const size = messageSize(message)
    const full = this.#parts.lackOfRoom(size)
    const refusal: Refusal | null =
      this.#closed ??
      (full === null
        ? null
        : { code: 'FORKSAFE_ERR_RELAY_FULL', message: full, retryAfter: FULL_RETRY_AFTER })
    if (refusal !== null) return Promise.resolve(refused(message, refusal))
    return this.#parts.enqueue(message, size)
  }
}

export const refused = ({ id }: NewMessage, refusal: Refusal): AppendOutcome => ({
  outcome: 'refused',
  id,
  refusal,
})

/** Whether a second one is a repetition: its time to live may be another, what is sent may not. */
const isSame = (known: SpooledMessage, { key, isBinary, body }: NewMessage): boolean =>
  known.isBinary === isBinary && known.key === key && known.body.equals(body)
