// What was accepted and is not settled yet, in order. Pure bookkeeping: what a message is, and who waits for it, is its
// cargo, which nobody here looks into.
//
// accepted = confirmed + rejected + pending holds after every call. Order is by sequence number; on one connection what
// was written is a prefix of what is pending, and what the peer is proved to have is a prefix of what was written.

/** What is proved of a message, weakest first. */
export type ReceiptLevel = 'written' | 'received' | 'processed'

export interface OutboxLimits {
  count: number
  bytes: number
}

export interface NewEntry<Cargo> {
  bytes: number
  /** What has to be proved before it is confirmed. */
  level: ReceiptLevel
  /** Whether its sender insists on `level`, where the peer can prove no more than `written`. */
  isLevelFixed: boolean
  /** When it must not be written any more, on the session's clock; null: never. */
  expiresAt: number | null
  /** It is somebody else's, who bounds it: it takes no room from what this process sends. */
  isForeign?: boolean
  cargo: Cargo
}

export interface Entry<Cargo> extends Readonly<NewEntry<Cargo>> {
  readonly sequence: number
  /** When it was last handed to a connection; null: never, so that it cannot have arrived. */
  writtenAt: number | null
  /** Number of that connection; 0: none. */
  epoch: number
}

export class Outbox<Cargo> {
  readonly #limits: OutboxLimits
  /** Not proved to be at the peer: first what was written, behind it what waits. */
  readonly #entries = new Map<number, Entry<Cargo>>()
  /** At the peer of this connection, and to be acknowledged by it. All of it is older than what is in `#entries`. */
  readonly #unacknowledged = new Map<number, Entry<Cargo>>()
  /** Taken by an earlier connection, and not to be written again; what became of it will be known by the next one. */
  readonly #withheld = new Map<number, Entry<Cargo>>()
  #bytes = 0
  #foreign = { count: 0, bytes: 0 }
  #lastSequence = 0
  /** Everything up to here has been written to this connection or settled. */
  #lastWritten = 0
  accepted = 0
  confirmed = 0
  rejected = 0

  constructor(limits: OutboxLimits) {
    this.#limits = limits
  }

  get pending(): number {
    return this.#entries.size + this.#unacknowledged.size + this.#withheld.size
  }

  get pendingBytes(): number {
    return this.#bytes
  }

  /** Number of what was accepted last. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  /** Number of what was last written to this connection. */
  get lastWritten(): number {
    return this.#lastWritten
  }

  get hasWaiting(): boolean {
    return this.#lastWritten < this.#lastSequence && this.#entries.size > 0
  }

  /** Whether something that was written, to this connection, is not confirmed. */
  get hasUnconfirmed(): boolean {
    for (const { sequence } of this.#entries.values())
      return this.#unacknowledged.size > 0 || sequence <= this.#lastWritten
    return this.#unacknowledged.size > 0
  }

  /** Whether something that was written waits for the proof of a barrier. */
  get hasUnproved(): boolean {
    for (const { sequence, level } of this.#entries.values()) {
      if (sequence > this.#lastWritten) return false
      if (level !== 'written') return true
    }
    return false
  }

  /** Number of the oldest that is not settled; beyond `lastSequence` when there is none. */
  get oldest(): number {
    for (const sequence of this.#withheld.keys()) return sequence
    for (const sequence of this.#unacknowledged.keys()) return sequence
    for (const sequence of this.#entries.keys()) return sequence
    return this.#lastSequence + 1
  }

  hasRoomFor(bytes: number): boolean {
    const { count, bytes: held } = this.#foreign
    return this.pending - count < this.#limits.count && this.#bytes - held + bytes <= this.#limits.bytes
  }

  /** Takes a message in. The caller has asked whether there is room. */
  accept({ bytes, level, isLevelFixed, expiresAt, isForeign = false, cargo }: NewEntry<Cargo>): Entry<Cargo> {
    const sequence = ++this.#lastSequence
    const entry: Entry<Cargo> = {
      sequence,
      bytes,
      level,
      isLevelFixed,
      expiresAt,
      isForeign,
      cargo,
      writtenAt: null,
      epoch: 0,
    }
    this.#entries.set(sequence, entry)
    this.#bytes += bytes
    if (isForeign) this.#countForeign(1, entry)
    this.accepted++
    return entry
  }

  isPending({ sequence }: Entry<Cargo>): boolean {
    return this.#entries.has(sequence) || this.#unacknowledged.has(sequence) || this.#withheld.has(sequence)
  }

  /** The one of that number, unless it is settled. */
  get(sequence: number): Entry<Cargo> | undefined {
    return this.#entries.get(sequence) ?? this.#unacknowledged.get(sequence) ?? this.#withheld.get(sequence)
  }

  /**
   * Takes what is next to be written, in order: one message, and more as long as they are within `bytes` in all, and no
   * more than `count`.
   */
  takeWaiting(bytes: number, count = Number.POSITIVE_INFINITY): Entry<Cargo>[] {
    const taken: Entry<Cargo>[] = []
    let left = bytes
    while (
      this.#lastWritten < this.#lastSequence &&
      taken.length < count &&
      (taken.length === 0 || left > 0)
    ) {
      const entry = this.#entries.get(++this.#lastWritten)
      if (entry === undefined) continue
      left -= entry.bytes
      taken.push(entry)
    }
    return taken
  }

  /** Confirms what satisfies `isProved` from behind `after` up to `upTo`; returns it in order. */
  confirmBetween(after: number, upTo: number, isProved: (entry: Entry<Cargo>) => boolean): Entry<Cargo>[] {
    const proved: Entry<Cargo>[] = []
    for (let sequence = Math.max(after + 1, this.oldest); sequence <= upTo; sequence++) {
      const entry = this.#entries.get(sequence)
      if (entry !== undefined && isProved(entry)) proved.push(entry)
    }
    for (const entry of proved) this.confirm(entry)
    return proved
  }

  /** The peer has everything up to `sequence`. Returns what that confirms; the rest waits for its acknowledgement. */
  receivedUpTo(sequence: number): Entry<Cargo>[] {
    const confirmed: Entry<Cargo>[] = []
    for (const entry of this.#entries.values()) {
      if (entry.sequence > sequence) break
      this.#entries.delete(entry.sequence)
      if (entry.level === 'processed') {
        this.#unacknowledged.set(entry.sequence, entry)
        continue
      }
      this.#bytes -= entry.bytes
      if (entry.isForeign) this.#countForeign(-1, entry)
      this.confirmed++
      confirmed.push(entry)
    }
    return confirmed
  }

  /** What the peer has had for longest without acknowledging it. */
  get oldestUnacknowledged(): Entry<Cargo> | undefined {
    for (const entry of this.#unacknowledged.values()) return entry
    return undefined
  }

  /** Everything that is pending, in order. */
  all(): Entry<Cargo>[] {
    return [...this.#withheld.values(), ...this.#unacknowledged.values(), ...this.#entries.values()]
  }

  /** What was never written, in order. */
  neverWritten(): Entry<Cargo>[] {
    return this.all().filter((entry) => entry.writtenAt === null)
  }

  /** What was written, to this connection or an earlier one, and is not confirmed, in order. */
  unconfirmed(): Entry<Cargo>[] {
    return this.all().filter((entry) => entry.writtenAt !== null)
  }

  /** The connection is gone: everything that is pending waits again, in its order. */
  rewind(): void {
    const unproved = [...this.#entries.values()]
    this.#entries.clear()
    for (const entry of this.#unacknowledged.values()) this.#entries.set(entry.sequence, entry)
    for (const entry of unproved) this.#entries.set(entry.sequence, entry)
    this.#unacknowledged.clear()
    this.#lastWritten = this.oldest - 1
  }

  /** Keeps what is pending from being written again. */
  withhold(entries: readonly Entry<Cargo>[]): void {
    for (const entry of entries) {
      if (this.#entries.delete(entry.sequence)) this.#withheld.set(entry.sequence, entry)
    }
  }

  /** What is kept from being written again, in order. */
  withheld(): Entry<Cargo>[] {
    return [...this.#withheld.values()]
  }

  /** False if it was settled before. */
  confirm(entry: Entry<Cargo>): boolean {
    if (!this.#remove(entry)) return false
    this.confirmed++
    return true
  }

  /** False if it was settled before. */
  reject(entry: Entry<Cargo>): boolean {
    if (!this.#remove(entry)) return false
    this.rejected++
    return true
  }

  /** Gives it back to whoever it came from, as if it had never been taken. */
  forget(entry: Entry<Cargo>): void {
    if (this.#remove(entry)) this.accepted--
  }

  #countForeign(sign: 1 | -1, { bytes }: Entry<Cargo>): void {
    this.#foreign.count += sign
    this.#foreign.bytes += sign * bytes
  }

  #remove(entry: Entry<Cargo>): boolean {
    const { sequence, bytes, isForeign } = entry
    const isPending =
      this.#entries.delete(sequence) ||
      this.#unacknowledged.delete(sequence) ||
      this.#withheld.delete(sequence)
    if (!isPending) return false
    this.#bytes -= bytes
    if (isForeign) this.#countForeign(-1, entry)
    return true
  }
}
