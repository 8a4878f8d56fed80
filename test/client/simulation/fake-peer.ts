// The other end of a fake link: an endpoint with a parser that reads frames in order, and the habits of its temperament.
// What it does beside them it is told by the schedule.

import { Random } from '../../campaign/random.js'
import type { FakeLink, OtherEnd } from './fake-link.js'
import type { InFrame, OutFrame } from './frames.js'
import type { VirtualLoop } from './virtual-loop.js'

/** What a server remembers over connections. */
export interface ServerMemory {
  /** Payloads of pings that it has read, of all connections. */
  readonly payloads: string[]
  /** The text by which it acknowledges a message; null for one that wants no acknowledgement. */
  acknowledgement(frame: OutFrame): string | null
  /** The same of any message that was sent and may not have arrived. */
  anyAcknowledgement(): string | null
}

export const BIG_TEXT = 'x'.repeat(1024 * 1024)

export class FakePeer implements OtherEnd {
  readonly #link: FakeLink
  readonly #loop: VirtualLoop
  readonly #memory: ServerMemory
  readonly #random: Random
  readonly #inbox: OutFrame[] = []
  #isSilent = false
  #isStalled = false
  #isReading = false
  #hasSentClose = false
  #latestPing: OutFrame | null = null
  #said = 0

  constructor(link: FakeLink, loop: VirtualLoop, memory: ServerMemory, seed: number) {
    this.#link = link
    this.#loop = loop
    this.#memory = memory
    this.#random = new Random(seed)
  }

  // --- What the schedule makes it do ----------------------------------------------------------------------------

  /** Neither reads nor writes any more, and its kernel is gone as well. */
  fallSilent(): void {
    this.#isSilent = true
  }

  stall(): void {
    this.#isStalled = true
  }

  readOn(): void {
    this.#isStalled = false
    this.#readNext()
  }

  say(count: number, isBig: boolean): void {
    for (let index = 0; index < count; index++)
      this.#transmit({ kind: 'data', data: isBig ? BIG_TEXT : `said ${this.#link.epoch}.${++this.#said}` })
  }

  close(code: number): void {
    if (this.#hasSentClose) return
    this.#hasSentClose = true
    this.#transmit({ kind: 'close', code })
  }

  /** Ends the TCP connection without a word. */
  end(): void {
    this.#transmit({ kind: 'end' })
  }

  reset(): void {
    if (this.#isSilent) return
    this.#isSilent = true
    this.#loop.inNetwork(this.#link.temperament.latency, () => this.#link.reset())
  }

  /** A pong that answers nothing; `isReplay`: with the payload of an earlier connection's ping. */
  forgePong(isReplay: boolean): void {
    const { payloads } = this.#memory
    const payload = isReplay && payloads.length > 0 ? this.#random.pick(payloads) : '0011223344556677-1'
    if (!isReplay || !this.#isOwn(payload)) this.#transmit({ kind: 'pong', payload, answers: null })
  }

  // --- Its end of the link --------------------------------------------------------------------------------------

  upgraded(): void {
    const { upgrade, latency } = this.#link.temperament
    if (upgrade.kind === 'closes at once') this.#loop.inNetwork(latency, () => this.close(upgrade.code))
  }

  opened(): void {
    for (let count = this.#link.temperament.replays; count > 0; count--) this.forgePong(true)
  }

  arrive(frames: readonly OutFrame[]): void {
    if (this.#isSilent) return
    this.#inbox.push(...frames)
    this.#readNext()
  }

  #readNext(): void {
    const { readTakes } = this.#link.temperament
    while (!this.#isSilent && !this.#isStalled && !this.#isReading) {
      const frame = this.#inbox.shift()
      if (frame === undefined) return
      if (readTakes === 0) {
        this.#read(frame)
        continue
      }
      this.#isReading = true
      this.#loop.inNetwork(readTakes, () => {
        this.#isReading = false
        if (!this.#isSilent) this.#read(frame)
        this.#readNext()
      })
    }
  }

  #read(frame: OutFrame): void {
    this.#link.peerHasRead(frame)
    if (frame.kind === 'data') this.#acknowledge(frame)
    else if (frame.kind === 'ping') this.#answer(frame)
    else if (frame.kind === 'close') this.#closedByClient()
  }

  #acknowledge(frame: OutFrame): void {
    const { acks, ackTakes } = this.#link.temperament
    if (acks === 'never' || (acks === 'some' && this.#random.chance(0.5))) return
    const said =
      acks === 'too early' ? this.#memory.anyAcknowledgement() : this.#memory.acknowledgement(frame)
    if (said !== null) this.#soon(ackTakes, () => this.#transmit({ kind: 'data', data: said }))
  }

  #answer(ping: OutFrame): void {
    const { pongs, pongTakes } = this.#link.temperament
    const payload = String(ping.data)
    this.#memory.payloads.push(payload)
    const pong: InFrame = { kind: 'pong', payload, answers: ping }
    if (pongs === 'never' || (pongs === 'some' && this.#random.chance(0.5))) return
    if (pongs === 'forged') {
      const forged = this.#random.pick([payload.slice(1), `${payload}0`, '', `x${payload}`])
      return this.#transmit({ kind: 'pong', payload: forged, answers: null })
    }
    if (pongs === 'latest') return this.#answerLatest(ping)
    this.#soon(pongTakes, () => {
      this.#transmit(pong)
      if (pongs === 'twice') this.#transmit(pong)
    })
  }

  /** RFC 6455 5.5.3: of several pings only the latest has to be answered. */
  #answerLatest(ping: OutFrame): void {
    const isDue = this.#latestPing !== null
    this.#latestPing = ping
    if (isDue) return
    this.#soon(this.#link.temperament.pongTakes + 50, () => {
      const latest = this.#latestPing
      this.#latestPing = null
      if (latest !== null) this.#transmit({ kind: 'pong', payload: String(latest.data), answers: latest })
    })
  }

  #closedByClient(): void {
    const { closes } = this.#link.temperament
    if (closes === 'ignores') return
    this.close(1000)
    if (closes === 'answers') this.end()
  }

  #isOwn(payload: string): boolean {
    return this.#link.frames.some(({ kind, data }) => kind === 'ping' && data === payload)
  }

  #soon(ms: number, act: () => void): void {
    if (ms === 0) act()
    else this.#loop.inNetwork(ms, act)
  }

  #transmit(frame: InFrame): void {
    if (this.#isSilent) return
    this.#loop.inNetwork(this.#link.temperament.latency, () => this.#link.arrive(frame))
  }
}
