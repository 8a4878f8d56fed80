// The ping barrier: a ping behind what was written, whose pong proves that the peer's endpoint has read it all. Frames
// keep their order (RFC 6455 section 5.4), so an endpoint that answers a ping has read every frame before it. It proves
// no more than that: what the application behind the endpoint did is its own affair, and a proxy that ends WebSocket
// connections is an endpoint.
//
// One barrier is outstanding as a rule; the next covers all that was written meanwhile. More are only when a pong did
// not come and the ping was repeated: the answer to any of them ends them all, since a peer may answer only the latest
// (section 5.5.3), and what a later one would have covered is asked anew. Pure; payloads are text.

interface Barrier {
  payload: string
  /** Number of the last message before the ping. */
  covers: number
  at: number
}

export interface BarrierProof {
  /** Everything up to this message is at the peer. */
  covers: number
  /** ms from the ping to its pong. */
  rtt: number
}

/** Late answers are known for this many pings. */
const REMEMBERED = 8

export class PingBarrier {
  readonly #nonce: () => string
  #count = 0
  #outstanding: Barrier[] = []

  /** @param nonce 8 random bytes as text: a payload that can be guessed could be answered by what is no answer. */
  constructor(nonce: () => string) {
    this.#nonce = nonce
  }

  get isOutstanding(): boolean {
    return this.#outstanding.length > 0
  }

  /** Returns the payload of the ping to send now. */
  raise(covers: number, now: number): string {
    const payload = `${this.#nonce()}-${++this.#count}`
    this.#outstanding.push({ payload, covers, at: now })
    if (this.#outstanding.length > REMEMBERED) this.#outstanding.shift()
    return payload
  }

  /** What a pong proves; null when it answers no ping of this connection, or one that was answered. */
  answered(payload: string, now: number): BarrierProof | null {
    const barrier = this.#outstanding.find((candidate) => candidate.payload === payload)
    if (barrier === undefined) return null
    this.#outstanding = []
    return { covers: barrier.covers, rtt: now - barrier.at }
  }

  /** A new connection: what was asked on the old one will not be answered. */
  reset(): void {
    this.#outstanding = []
  }
}
