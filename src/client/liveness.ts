// Whether a connection is alive, from when what was heard, asked and owed. Pure: times in, a verdict out. What is done
// about it is decided in client-session.ts.
//
// Anything that comes in is a sign of life. So is the kernel taking more of what is queued: where the peer is dead its
// buffer is full soon. While we ourselves do not read, because our consumer is slow, silence says nothing.

export interface LivenessOptions {
  /** Nothing heard for this long, and a ping is due; 0: never. */
  heartbeatInterval: number
  /** A ping without an answer, and nothing heard at all, for this long: silent. */
  heartbeatTimeout: number
  /** For how long what is owed (taking what is queued, answering a barrier) may stay owed. */
  receiptTimeout: number
}

/**
 * `quiet`: time to ping. `unanswered`: the ping was not answered, though something else was heard. `silent`: nothing was
 * heard since the ping. `stuck`: the kernel does not take what is queued. `unproved`: no answer to a barrier in all the time
 * that it may take. `unread`: the same, but it may be our own doing, because we did not read. `held`: we have not read for as long as a heartbeat.
 */
export type Verdict = 'fine' | 'quiet' | 'unanswered' | 'silent' | 'stuck' | 'unproved' | 'unread' | 'held'

/** A check that is this late was asleep, not waiting (a stopped process, a suspended machine): see `forgive`. */
const ASLEEP = 1_000

export class Liveness {
  readonly #options: LivenessOptions
  #heardAt = 0
  #askedAt = 0
  /** When the oldest ping without an answer was sent. */
  #unansweredSince: number | null = null
  #progressAt = 0
  #unflushedSince: number | null = null
  #pausedSince: number | null = null
  /** Whether we did not read at some time since a barrier is owed. */
  #hasPaused = false

  constructor(options: LivenessOptions) {
    this.#options = options
  }

  begin(now: number): void {
    this.#heardAt = now
    this.#askedAt = 0
    this.#unansweredSince = null
    this.#progressAt = now
    this.#unflushedSince = null
    this.#pausedSince = null
    this.#hasPaused = false
  }

  heard(at: number): void {
    if (at > this.#heardAt) this.#heardAt = at
  }

  asked(now: number): void {
    this.#askedAt = now
    if (this.#unansweredSince !== null) return
    this.#unansweredSince = now
    this.#hasPaused = this.#pausedSince !== null
  }

  /** Whether somebody waits for the answer to a ping. */
  get isAnswerOwed(): boolean {
    return this.#unansweredSince !== null
  }

  /** Whether nothing has come in since a ping that is not answered. */
  get isSilent(): boolean {
    return this.#unansweredSince !== null && this.#heardAt <= this.#unansweredSince
  }

  answered(now: number): void {
    this.#unansweredSince = null
    this.heard(now)
  }

  /** Nobody waits for the answer any more. */
  forget(): void {
    this.#unansweredSince = null
  }

  /** Bytes are queued that the kernel has not taken yet. */
  queued(now: number): void {
    this.#unflushedSince ??= now
  }

  flushed(isAll: boolean, now: number): void {
    this.#progressAt = now
    this.#unflushedSince = isAll ? null : now
  }

  paused(now: number): void {
    this.#pausedSince ??= now
    this.#hasPaused = true
  }

  resumed(now: number): void {
    this.#pausedSince = null
    // What waited in the kernel while we did not read is heard from now on.
    this.#heardAt = now
  }

  /** The peer was told that we are alive. */
  held(now: number): void {
    this.#askedAt = now
  }

  /** Someone slept: the answer may be on its way to us only now. */
  forgive(now: number): void {
    const shift = now + ASLEEP - this.dueAt()
    if (shift <= 0) return
    // No further than the second takes: who stumbles again and again would forgive for ever.
    const { heartbeatTimeout, receiptTimeout } = this.#options
    const latest = now + Math.max(0, ASLEEP - Math.min(heartbeatTimeout, receiptTimeout))
    const shifted = (at: number): number => Math.min(at + shift, Math.max(at, latest))
    this.#heardAt = shifted(this.#heardAt)
    this.#askedAt = shifted(this.#askedAt)
    this.#progressAt = shifted(this.#progressAt)
    if (this.#unansweredSince !== null) this.#unansweredSince = shifted(this.#unansweredSince)
    if (this.#unflushedSince !== null) this.#unflushedSince = shifted(this.#unflushedSince)
    if (this.#pausedSince !== null) this.#pausedSince = shifted(this.#pausedSince)
  }

  /** @param due when the check was to be made. */
  isLate(due: number, now: number): boolean {
    return now - due >= ASLEEP
  }

  judge(now: number): Verdict {
    return this.#deadlines().find(({ at }) => now >= at)?.verdict ?? 'fine'
  }

  /** When the next verdict is due; Infinity when there is nothing to wait for. */
  dueAt(): number {
    return this.#deadlines().reduce((soonest, { at }) => Math.min(soonest, at), Number.POSITIVE_INFINITY)
  }

  /** All that may fall due, the gravest first. */
  #deadlines(): { at: number; verdict: Verdict }[] {
    const { heartbeatInterval, heartbeatTimeout, receiptTimeout } = this.#options
    const owed = this.#unansweredSince
    const deadlines: { at: number; verdict: Verdict }[] = []
    if (this.#unflushedSince !== null)
      deadlines.push({ at: this.#unflushedSince + receiptTimeout, verdict: 'stuck' })
    if (owed !== null)
      deadlines.push({ at: owed + receiptTimeout, verdict: this.#hasPaused ? 'unread' : 'unproved' })
    if (this.#pausedSince !== null) {
      if (heartbeatInterval > 0)
        deadlines.push({
          at: Math.max(this.#pausedSince, this.#askedAt) + heartbeatInterval,
          verdict: 'held',
        })
    } else if (owed !== null) {
      const sign = Math.max(owed, this.#heardAt, this.#progressAt)
      deadlines.push({ at: sign + heartbeatTimeout, verdict: 'silent' })
      const asked = Math.max(this.#askedAt, this.#progressAt)
      deadlines.push({ at: asked + heartbeatTimeout, verdict: 'unanswered' })
    } else if (heartbeatInterval > 0) {
      deadlines.push({ at: Math.max(this.#heardAt, this.#askedAt) + heartbeatInterval, verdict: 'quiet' })
    }
    return deadlines
  }
}
