// What is known of messages that have left the queue, and for how long: pure, with the time as an argument. Within the
// window a repetition is known; behind it the id is free again, and its segment may go.

import type { DeliveryReceipt } from '../messages.js'

/** How far the queue was at some time: one entry each so many ms is enough to forget by. */
const STEP = 1_000
/** Receipts are kept for whoever asks soon. */
const MAX_RECEIPTS = 10_000

export interface Note {
  state: 'expired' | 'dropped' | 'parked'
  /** Unix time in ms. */
  at: number
  reason: string | null
}

export class Remembered {
  readonly #window: number
  readonly #messages: number
  #steps: { through: number; at: number }[]
  #forgottenThrough = 0
  readonly #notes = new Map<number, Note>()
  /** By seq modulo their number: a Map that loses its oldest entry each time becomes slow. */
  readonly #receipts: { seq: number; receipt: DeliveryReceipt; at: number }[] = []

  /** @param through what is settled at the beginning: as if it had been settled `now`. */
  constructor(options: { window: number; messages: number; through: number; now: number }) {
    this.#window = options.window
    this.#messages = options.messages
    this.#steps = [{ through: options.through, at: options.now }]
  }

  /** Ids of messages up to here are free again. */
  get forgottenThrough(): number {
    return this.#forgottenThrough
  }

  settledThrough(through: number, now: number): void {
    const last = this.#steps.at(-1)
    if (last !== undefined && now - last.at < STEP) last.through = through
    else this.#steps.push({ through, at: now })
    this.#forget(through, now)
  }

  note(seq: number, note: Note): void {
    this.#notes.set(seq, note)
  }

  delivered(seq: number, receipt: DeliveryReceipt, at: number): void {
    this.#receipts[seq % MAX_RECEIPTS] = { seq, receipt, at }
  }

  noteOf(seq: number): Note | null {
    return this.#notes.get(seq) ?? null
  }

  receiptOf(seq: number): { receipt: DeliveryReceipt; at: number } | null {
    const found = this.#receipts[seq % MAX_RECEIPTS]
    return found?.seq === seq ? found : null
  }

  /** To be called now and then, also when nothing is settled. */
  forget(now: number): void {
    this.#forget(this.#steps.at(-1)?.through ?? 0, now)
  }

  #forget(through: number, now: number): void {
    let forgotten = through - this.#messages
    while (this.#steps.length > 1 && now - (this.#steps[0]?.at ?? 0) > this.#window)
      forgotten = Math.max(forgotten, this.#steps.shift()?.through ?? 0)
    const [first] = this.#steps
    if (first !== undefined && now - first.at > this.#window) forgotten = Math.max(forgotten, first.through)
    if (forgotten <= this.#forgottenThrough) return
    this.#forgottenThrough = forgotten
    // Nearly in order: one that stands behind a younger one goes with it.
    for (const seq of this.#notes.keys()) {
      if (seq > forgotten) break
      this.#notes.delete(seq)
    }
  }
}
