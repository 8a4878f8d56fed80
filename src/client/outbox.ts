// What was accepted and is not settled yet, in order. Pure bookkeeping: messages are known by their sequence number,
// their bytes and promises are with the shell (guarded-client.ts).
//
// accepted = confirmed + rejected + pending holds after every call.

export interface OutboxLimits {
  count: number
  bytes: number
}

interface Entry {
  bytes: number
  /** The connection it was written to, or null while it waits. */
  epoch: number | null
}

export class Outbox {
  readonly #limits: OutboxLimits
  /** By sequence number; insertion order is sending order. */
  readonly #entries = new Map<number, Entry>()
  #bytes = 0
  #lastSequence = 0
  /** Everything up to here has been written or settled: the next write begins behind it. */
  #lastWritten = 0
  accepted = 0
  confirmed = 0
  rejected = 0

  constructor(limits: OutboxLimits) {
    this.#limits = limits
  }

  get pending(): number {
    return this.#entries.size
  }

  get pendingBytes(): number {
    return this.#bytes
  }

  hasRoomFor(bytes: number): boolean {
    return this.#entries.size < this.#limits.count && this.#bytes + bytes <= this.#limits.bytes
  }

  /** Takes a message in and returns its sequence number. The caller has asked whether there is room. */
  accept(bytes: number): number {
    const sequence = ++this.#lastSequence
    this.#entries.set(sequence, { bytes, epoch: null })
    this.#bytes += bytes
    this.accepted++
    return sequence
  }

  /** Marks everything that waits as written to `epoch` and returns it in order. */
  takeWaiting(epoch: number): number[] {
    const taken: number[] = []
    for (let sequence = this.#lastWritten + 1; sequence <= this.#lastSequence; sequence++) {
      const entry = this.#entries.get(sequence)
      if (entry === undefined) continue
      entry.epoch = epoch
      taken.push(sequence)
    }
    this.#lastWritten = this.#lastSequence
    return taken
  }

  isWaiting(sequence: number): boolean {
    return this.#entries.get(sequence)?.epoch === null
  }

  /** What was never written. */
  waiting(): number[] {
    return [...this.#entries].filter(([, entry]) => entry.epoch === null).map(([sequence]) => sequence)
  }

  /** What was written to that connection and is not confirmed. */
  writtenTo(epoch: number): number[] {
    return [...this.#entries].filter(([, entry]) => entry.epoch === epoch).map(([sequence]) => sequence)
  }

  /** False if it was settled before. */
  confirm(sequence: number): boolean {
    if (!this.#remove(sequence)) return false
    this.confirmed++
    return true
  }

  /** False if it was settled before. */
  reject(sequence: number): boolean {
    if (!this.#remove(sequence)) return false
    this.rejected++
    return true
  }

  #remove(sequence: number): boolean {
    const entry = this.#entries.get(sequence)
    if (entry === undefined) return false
    this.#entries.delete(sequence)
    this.#bytes -= entry.bytes
    return true
  }
}
