// A spool that keeps its messages in memory and its contract all the same: what the forwarder, the owner and the desk are
// tested against. The store is src/relay/spool/.

import type { AppendOutcome, Fate, NewMessage, SpooledMessage } from '../../src/relay/messages.js'
import type { ParkedMessage, Settlement, Spool, SpoolStatus } from '../../src/relay/spool.js'

export class MemorySpool implements Spool {
  /** In the order in which it was said. */
  readonly settlements: { id: string; seq: number; settlement: Settlement }[] = []
  readonly #queue: SpooledMessage[] = []
  readonly #known = new Map<string, { message: SpooledMessage; fate: Fate }>()
  readonly #listeners = new Set<() => void>()
  #parked: ParkedMessage[] = []
  #taken = 0
  #last = 0
  #duplicates = 0
  isClosed = false
  isDiskFull = false
  /** What is appended waits for it. */
  gate: Promise<void> = Promise.resolve()

  async append(message: NewMessage): Promise<AppendOutcome> {
    await this.gate
    const { id } = message
    if (this.isClosed || this.isDiskFull) {
      const code = this.isClosed ? 'FORKSAFE_ERR_RELAY_UNAVAILABLE' : 'FORKSAFE_ERR_RELAY_DISK_FULL'
      return { outcome: 'refused', id, refusal: { code, message: 'no', retryAfter: 1 } }
    }
    const known = this.#known.get(id)
    if (known !== undefined) {
      if (!known.message.body.equals(message.body)) return { outcome: 'conflict', id }
      this.#duplicates++
      return { outcome: 'duplicate', id, fate: known.fate }
    }
    return { outcome: 'accepted', id, seq: this.#add(message) }
  }

  #add(message: NewMessage): number {
    const spooled = { ...message, seq: ++this.#last, acceptedAt: Date.now() }
    const { id, seq, acceptedAt } = spooled
    const wasEmpty = this.#taken === this.#queue.length
    this.#queue.push(spooled)
    this.#known.set(id, {
      message: spooled,
      fate: { id, seq, acceptedAt, state: 'queued', settledAt: null, reason: null, receipt: null },
    })
    if (wasEmpty) for (const listener of this.#listeners) listener()
    return seq
  }

  async take({ count, bytes }: { count: number; bytes: number }): Promise<SpooledMessage[]> {
    const taken: SpooledMessage[] = []
    let left = bytes
    for (const message of this.#queue.slice(this.#taken, this.#taken + count)) {
      left -= message.body.length
      if (left < 0 && taken.length > 0) break
      taken.push(message)
    }
    this.#taken += taken.length
    return taken
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  rewind(): void {
    this.#taken = 0
  }

  settle(seq: number, settlement: Settlement): void {
    const [first] = this.#queue
    if (first?.seq !== seq) throw new Error(`settled ${seq} while ${first?.seq} is first`)
    if (settlement.state === 'parked' && !this.#parked.some((each) => each.seq === seq))
      throw new Error(`settled ${seq} as parked, and it is not`)
    this.#queue.shift()
    this.#taken = Math.max(0, this.#taken - 1)
    this.settlements.push({ id: first.id, seq, settlement })
    this.#tell(first.id, {
      state: settlement.state,
      settledAt: Date.now(),
      reason: settlement.state === 'parked' ? settlement.reason : null,
      receipt: settlement.state === 'delivered' ? settlement.receipt : null,
    })
  }

  #tell(id: string, change: Partial<Fate>): void {
    const known = this.#known.get(id)
    if (known !== undefined) known.fate = { ...known.fate, ...change }
  }

  async park(message: SpooledMessage, reason: string): Promise<void> {
    if (this.isDiskFull) throw new Error('the disk is full')
    this.#parked.push({ ...message, reason, parkedAt: Date.now() })
  }

  async fate(id: string): Promise<Fate | null> {
    return this.#known.get(id)?.fate ?? null
  }

  status(): SpoolStatus {
    const settled = (state: Settlement['state']): number =>
      this.settlements.filter(({ settlement }) => settlement.state === state).length
    return {
      queued: this.#queue.length,
      queuedBytes: this.#queue.reduce((sum, { body }) => sum + body.length, 0),
      oldestAt: this.#queue[0]?.acceptedAt ?? null,
      parked: this.#parked.length,
      bytes: 0,
      accepted: this.#last,
      delivered: settled('delivered'),
      expired: settled('expired'),
      duplicates: this.#duplicates,
      quarantined: 0,
      refusing: null,
    }
  }

  async list({ after = 0, limit }: { after?: number; limit: number }): Promise<SpooledMessage[]> {
    return this.#queue.filter(({ seq }) => seq > after).slice(0, limit)
  }

  async parked(): Promise<ParkedMessage[]> {
    return this.#parked
  }

  async retry(id: string): Promise<AppendOutcome | false> {
    const found = this.#parked.find((each) => each.id === id)
    if (found === undefined) return false
    this.#parked = this.#parked.filter((each) => each !== found)
    return { outcome: 'accepted', id, seq: this.#add(found) }
  }

  async drop(id: string): Promise<boolean> {
    const isParked = this.#parked.some((each) => each.id === id)
    this.#parked = this.#parked.filter((each) => each.id !== id)
    const at = this.#queue.findIndex((each) => each.id === id)
    if (at >= 0) this.#queue.splice(at, 1)
    if (at >= 0 && at < this.#taken) this.#taken--
    if (at >= 0 || isParked) this.#tell(id, { state: 'dropped', settledAt: Date.now() })
    return at >= 0 || isParked
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

let messages = 0

export const newMessage = (text: string, over: Partial<NewMessage> = {}): NewMessage => ({
  id: `message-${++messages}`,
  key: null,
  isBinary: false,
  expiresAt: null,
  body: Buffer.from(text),
  ...over,
})
