// How fast all workers together may open connections to one upstream: a token bucket per origin, first come first
// served. Pure: time comes in, who may dial comes out. Messages and the timer are src/primary/dial-desk.ts.
//
// A bucket holds as many tokens as flow in within a second, so in any window of t seconds at most rate + rate * t dials
// are permitted. A reload of many workers, or an upstream that comes back, is then no storm.

import { MAX_OPEN_ASKS } from '../shared/protocol.js'

/** Most origins with a bucket of their own; all others share one, so that a worker cannot fill the primary's memory. */
const MAX_ORIGINS = 1_000
const SECOND = 1_000
/** Tokens flow in as fractions: what rounding takes from a whole one must not cost its owner a millisecond. */
const ROUNDING = 1e-9
const WHOLE_TOKEN = 1 - ROUNDING

/** A worker's place in a queue. */
export interface Place {
  readonly worker: number
  /** The worker's number of the question. */
  readonly id: number
}

/** `wait`: the ms until its turn, if everybody before it takes theirs. `ignored`: the worker asks too much at once. */
export type DialVerdict = { answer: 'now' } | { answer: 'later'; wait: number } | { answer: 'ignored' }

interface Ask extends Place {
  readonly bucket: Bucket
}

interface Bucket {
  tokens: number
  filledAt: number
  readonly queue: Set<Ask>
}

export class DialPacer {
  #rate: number
  readonly #buckets = new Map<string, Bucket>()
  readonly #asks = new Map<number, Map<number, Ask>>()

  /** @param rate new connections per second and origin; 0 paces nothing. */
  constructor(rate: number) {
    this.#rate = rate
  }

  /** For what is asked and granted from now on. */
  setRate(rate: number, now: number): void {
    if (rate === this.#rate) return
    for (const bucket of this.#buckets.values()) this.#fill(bucket, now)
    this.#rate = rate
    for (const bucket of this.#buckets.values()) bucket.tokens = Math.min(bucket.tokens, rate)
  }

  ask({ worker, id }: Place, origin: string, now: number): DialVerdict {
    const own = this.#asks.get(worker) ?? new Map<number, Ask>()
    if (own.size >= MAX_OPEN_ASKS || own.has(id)) return { answer: 'ignored' }
    if (this.takeTurn(origin, now)) return { answer: 'now' }
    const bucket = this.#bucketOf(origin, now)
    const ask: Ask = { worker, id, bucket }
    bucket.queue.add(ask)
    this.#asks.set(worker, own.set(id, ask))
    return { answer: 'later', wait: Math.ceil(this.#msUntil(bucket, bucket.queue.size)) }
  }

  /** Takes a dial's turn if that is now: nobody waits, and there is a token. */
  takeTurn(origin: string, now: number): boolean {
    if (this.#rate === 0) return true
    const bucket = this.#bucketOf(origin, now)
    this.#fill(bucket, now)
    if (bucket.queue.size > 0 || bucket.tokens < WHOLE_TOKEN) return false
    bucket.tokens = Math.max(0, bucket.tokens - 1)
    return true
  }

  /** Its place is given up. */
  withdraw({ worker, id }: Place): void {
    const ask = this.#asks.get(worker)?.get(id)
    if (ask !== undefined) this.#take(ask)
  }

  /** A worker that is gone gives up all its places. */
  forget(worker: number): void {
    for (const ask of this.#asks.get(worker)?.values() ?? []) this.#take(ask)
  }

  /** Those whose turn it is, each once. */
  grant(now: number): Place[] {
    const granted: Ask[] = []
    for (const bucket of this.#buckets.values()) {
      this.#fill(bucket, now)
      for (const ask of bucket.queue) {
        if (this.#rate > 0 && bucket.tokens < WHOLE_TOKEN) break
        bucket.tokens = Math.max(0, bucket.tokens - 1)
        this.#take(ask)
        granted.push(ask)
      }
    }
    return granted.map(({ worker, id }) => ({ worker, id }))
  }

  /** ms until somebody's turn comes; null if nobody waits. */
  wait(now: number): number | null {
    const waits: number[] = []
    for (const bucket of this.#buckets.values()) {
      if (bucket.queue.size === 0) continue
      this.#fill(bucket, now)
      waits.push(this.#msUntil(bucket, 1))
    }
    return waits.length === 0 ? null : Math.min(...waits)
  }

  #take(ask: Ask): void {
    ask.bucket.queue.delete(ask)
    const own = this.#asks.get(ask.worker)
    own?.delete(ask.id)
    if (own?.size === 0) this.#asks.delete(ask.worker)
  }

  #fill(bucket: Bucket, now: number): void {
    bucket.tokens = Math.min(this.#rate, bucket.tokens + ((now - bucket.filledAt) / SECOND) * this.#rate)
    bucket.filledAt = now
  }

  /** Until the bucket will have held `count` tokens more than have been taken by now. */
  #msUntil({ tokens }: Bucket, count: number): number {
    return this.#rate === 0 ? 0 : Math.max(0, Math.ceil(((count - ROUNDING - tokens) / this.#rate) * SECOND))
  }

  #bucketOf(origin: string, now: number): Bucket {
    if (!this.#buckets.has(origin) && this.#buckets.size >= MAX_ORIGINS) this.#forgetFullBuckets(now)
    const key = this.#buckets.has(origin) || this.#buckets.size < MAX_ORIGINS ? origin : OTHERS
    const bucket = this.#buckets.get(key) ?? { tokens: this.#rate, filledAt: now, queue: new Set() }
    this.#buckets.set(key, bucket)
    return bucket
  }

  /** A bucket that is full and has no queue is as good as none. */
  #forgetFullBuckets(now: number): void {
    for (const [origin, bucket] of this.#buckets) {
      this.#fill(bucket, now)
      if (bucket.queue.size === 0 && bucket.tokens >= this.#rate) this.#buckets.delete(origin)
    }
  }
}

/** No origin is called that. */
const OTHERS = ''
