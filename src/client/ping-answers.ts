// Answers the peer's pings, a few at a time. `ws` would answer each, but ends a connection without a word when 60 pongs
// wait for the kernel; so many pings come at once where we have not read for a while, as behind a slow consumer. Then
// the latest alone is answered (RFC 6455 section 5.5.3). Our own pings are ping-barrier.ts.

/** Pongs that the kernel has not taken yet. */
const MOST_UNDER_WAY = 32

export class PingAnswers {
  readonly #pong: (payload: Buffer, done: () => void) => void
  #underWay = 0
  /** The latest ping that waits for its answer. */
  #latest: Buffer | null = null

  /** @param pong writes a pong, and calls back when the kernel has it or it is lost. */
  constructor(pong: (payload: Buffer, done: () => void) => void) {
    this.#pong = pong
  }

  pinged(payload: Buffer): void {
    if (this.#underWay < MOST_UNDER_WAY) return this.#answer(payload)
    // A copy: the payload is a view of all that was read with it.
    this.#latest = Buffer.from(payload)
  }

  #answer(payload: Buffer): void {
    this.#underWay++
    this.#pong(payload, () => {
      this.#underWay--
      const latest = this.#latest
      this.#latest = null
      if (latest !== null) this.#answer(latest)
    })
  }
}
