// Our end of a connection in the fake network: a Connection that keeps the same promises as the real one (attempt.ts),
// and remembers everything for who judges. The kernel takes only so much, and says so when it has; a destroyed socket
// never reports a success; a paused one is not read, except for what was read already.
// The other end is fake-peer.ts.

import type { ParsedClientOptions } from '../../../src/client/client-options.js'
import type { Connection, ConnectionEvents, Sendable } from '../../../src/client/connection.js'
import {
  type ConnectionEnd,
  connectionEnd,
  type Failure,
  failed,
  overdue,
  refused,
} from '../../../src/client/connection-end.js'
import type { Timer } from '../../../src/client/environment.js'
import type { InFrame, OutFrame } from './frames.js'
import type { Temperament } from './temperament.js'
import type { Readable, VirtualLoop } from './virtual-loop.js'

/** What is told of links as it happens. */
export interface LinkObserver {
  dialled(link: FakeLink): void
  given(link: FakeLink, frame: OutFrame): void
  opened(link: FakeLink): void
  terminated(link: FakeLink, why: string | null): void
  reads(link: FakeLink): void
  delivers(link: FakeLink, frame: InFrame): void
  gone(link: FakeLink, end: ConnectionEnd): void
}

/** Where frames go that left us. */
export interface OtherEnd {
  /** The upgrade was accepted. */
  upgraded(): void
  /** The client's own connection has been opened. */
  opened(): void
  arrive(frames: readonly OutFrame[]): void
}

const TARGET = 'ws://peer/'
/** As ping-barrier.ts has it. */
const REMEMBERED = 8
/** Frames that are no messages have a few bytes too. */
const CONTROL_BYTES = 8

export class FakeLink implements Connection, Readable {
  readonly epoch: number
  readonly temperament: Temperament
  heardAt = 0
  /** Every frame that was given to it, in order. */
  readonly frames: OutFrame[] = []
  openedAt: number | null = null
  goneAt: number | null = null
  end: ConnectionEnd | null = null
  closedAt: number | null = null
  isTerminated = false
  /** Whether the client destroyed it. */
  isToldToGo = false
  /** Whether the client destroyed it, or closed it, without a fault to blame. */
  isCancelled = false
  isPaused = false
  /** When bytes last came to our kernel; when our process last read some; when it was last told of a flush. */
  arrivedAt = 0
  readAt = 0
  flushedAt = 0
  takenAt = 0
  resumedAt = 0
  /** When a pong that answers a ping last was read; and the place of that ping. */
  provedAt = 0
  provedUpTo = -1
  /** Whether a ping was answered before so many others that nobody knows it any more. */
  isKnownToAnswer = false
  /** The place of the last ping whose answer has come to our kernel. */
  answeredUpTo = -1
  readonly #loop: VirtualLoop
  readonly #options: ParsedClientOptions
  readonly #events: ConnectionEvents
  readonly #observer: LinkObserver
  readonly #otherEnd: OtherEnd
  #deadline: Timer | null = null
  #closeTimer: Timer | null = null
  /** What the process is told when it looks, in order. */
  readonly #ready: (() => void)[] = []
  readonly #arrived: InFrame[] = []
  #corked: OutFrame[] = []
  readonly #untaken: OutFrame[] = []
  #sentBytes = 0
  #readBytes = 0
  #isOnTheWire = false
  #isUpgraded = false
  /** The WebSocket takes no more: a Close frame went one way or the other. */
  #isClosing = false
  #closeCode: number | null = null
  #peerCode: number | null = null
  #failure: Failure | null = null

  constructor(
    epoch: number,
    temperament: Temperament,
    loop: VirtualLoop,
    options: ParsedClientOptions,
    events: ConnectionEvents,
    observer: LinkObserver,
    otherEnd: (link: FakeLink) => OtherEnd,
  ) {
    this.epoch = epoch
    this.temperament = temperament
    this.#loop = loop
    this.#options = options
    this.#events = events
    this.#observer = observer
    this.#otherEnd = otherEnd(this)
  }

  get isWritable(): boolean {
    return !this.isGone && !this.isTerminated && !this.#isClosing
  }

  /** Whether our process has read a Close frame of the peer. */
  get isClosedByPeer(): boolean {
    return this.#peerCode !== null
  }

  get isGone(): boolean {
    return this.goneAt !== null
  }

  /** Whether something has come in that the process has not read. */
  get hasUnread(): boolean {
    return this.#arrived.length > 0
  }

  /** The first frame that the kernel has not taken. */
  get untaken(): OutFrame | undefined {
    return this.#untaken[0]
  }

  // --- As the client sees it ------------------------------------------------------------------------------------

  dial(): void {
    this.#observer.dialled(this)
    this.#loop.watch(this)
    const { connectTimeout } = this.#options
    const { prepareTakes, upgrade } = this.temperament
    this.#deadline = this.#loop.setTimer(connectTimeout, () =>
      this.#fail(overdue(`${TARGET} was not open within ${connectTimeout} ms`)),
    )
    this.#later(prepareTakes, () => {
      this.#isOnTheWire = true
    })
    if (upgrade.kind === 'never answers') return
    this.#later(prepareTakes + upgrade.answerAfter, () => this.#answered())
  }

  send(data: Sendable, onFlushed: (() => void) | null): void {
    const bytes = typeof data === 'string' ? data.length : data.byteLength
    this.#give('data', data, bytes, onFlushed)
  }

  ping(payload: string): void {
    if (!this.#isClosing) this.#give('ping', payload, CONTROL_BYTES, null)
  }

  pong(): void {
    if (!this.#isClosing) this.#give('pong', '', CONTROL_BYTES, null)
  }

  flush(): void {
    if (this.isGone || this.isTerminated) return
    for (const frame of this.#corked.splice(0)) {
      this.#sentBytes += frame.bytes
      frame.end = this.#sentBytes
      this.#untaken.push(frame)
    }
    this.#take()
  }

  close(code: number): void {
    this.closedAt ??= this.#loop.now
    this.isCancelled = true
    this.#closeCode ??= code
    if (this.#isUpgraded) this.#sendClose(code)
    else if (!this.#isOnTheWire) this.terminate(null)
  }

  terminate(why: string | null): void {
    if (this.isGone) return
    if (why !== null) this.#failure ??= failed(why)
    else this.isCancelled = true
    this.isToldToGo = true
    if (!this.isTerminated) this.#observer.terminated(this, why)
    this.#destroy()
  }

  closeSync(code: number): void {
    if (this.openedAt === null) return
    this.flush()
    this.#sendClose(code)
  }

  pause(): void {
    if (this.openedAt !== null) this.isPaused = true
  }

  resume(): void {
    if (this.isPaused) this.resumedAt = this.#loop.now
    this.isPaused = false
  }

  // --- As the network sees it -----------------------------------------------------------------------------------

  /** Something reached our kernel. */
  arrive(frame: InFrame): void {
    if (this.isGone || this.isTerminated) return
    this.#arrived.push(frame)
    if (frame.kind === 'end') return
    this.arrivedAt = this.#loop.now
    if (frame.kind === 'pong' && frame.answers !== null)
      this.answeredUpTo = Math.max(this.answeredUpTo, frame.answers.index)
  }

  /** A reset: what had come and was not read is lost with it. */
  reset(): void {
    this.#arrived.length = 0
    this.arrive({ kind: 'end' })
  }

  /** The peer's parser has read a frame, so that there is room for more. */
  peerHasRead(frame: OutFrame): void {
    frame.isRead = true
    this.#readBytes = frame.end
    if (!this.isGone && !this.isTerminated) this.#take()
  }

  // --- As the event loop sees it --------------------------------------------------------------------------------

  get isReady(): boolean {
    if (this.isGone) return false
    return this.isTerminated || this.#ready.length > 0 || (this.#isReading && this.hasUnread)
  }

  readOnce(): void {
    if (this.isTerminated) return this.#over(1006)
    const ready = this.#ready.shift()
    if (ready !== undefined) return ready()
    this.#read()
  }

  get #isReading(): boolean {
    return this.#isUpgraded && !this.isPaused
  }

  /** In the network at that time; to the process when it next looks. */
  #later(ms: number, tell: () => void): void {
    this.#loop.inNetwork(ms, () => {
      if (!this.isGone && !this.isTerminated) this.#ready.push(tell)
    })
  }

  #answered(): void {
    const { upgrade } = this.temperament
    if (upgrade.kind === 'fails') return this.#fail(failed(`${TARGET}: connection refused`))
    if (upgrade.kind === 'refuses')
      return this.#fail(refused(TARGET, upgrade.status, upgrade.retryAfter?.toString()))
    if (upgrade.kind === 'never answers') return
    this.#isUpgraded = true
    this.heardAt = this.#loop.now
    if (this.#closeCode !== null) this.#sendClose(this.#closeCode)
    this.#otherEnd.upgraded()
    if (this.#closeCode !== null) return
    if (upgrade.hookTakes === null) return this.#opened()
    this.#later(upgrade.hookTakes, () => {
      if (upgrade.kind === 'accepts' && upgrade.isHookFailing)
        this.#fail(failed('afterConnect failed: because it does'))
      else this.#opened()
    })
  }

  #opened(): void {
    if (this.#isClosing) return
    this.#deadline?.clear()
    this.openedAt = this.#loop.now
    this.readAt = this.#loop.now
    this.#observer.opened(this)
    this.#otherEnd.opened()
    this.#events.opened()
  }

  #give(kind: OutFrame['kind'], data: Sendable, bytes: number, onFlushed: (() => void) | null): void {
    const frame: OutFrame = {
      ...{ kind, data, bytes, onFlushed, index: this.frames.length, givenAt: this.#loop.now },
      ...{ end: 0, isTaken: false, isFlushed: false, isRead: false },
    }
    this.frames.push(frame)
    this.#observer.given(this, frame)
    if (this.isTerminated || this.isGone || (this.#isClosing && kind === 'data')) return
    this.#corked.push(frame)
  }

  /** The kernel takes what there is room for. */
  #take(): void {
    const { capacity, latency, flushTakes, losesLastWords } = this.temperament
    const taken: OutFrame[] = []
    for (let next = this.#untaken[0]; next !== undefined; next = this.#untaken[0]) {
      if (next.end > this.#readBytes + capacity && next.bytes <= capacity) break
      // What is larger than the room there is goes piece by piece: the last piece waits for all before it to be read.
      if (next.bytes > capacity && next.end - next.bytes > this.#readBytes) break
      this.#untaken.shift()
      next.isTaken = true
      this.takenAt = this.#loop.now
      taken.push(next)
    }
    if (taken.length === 0) return
    this.#loop.inNetwork(latency, () => {
      if (!(losesLastWords && this.isTerminated)) this.#otherEnd.arrive(taken)
    })
    for (const frame of taken) this.#later(flushTakes, () => this.#flushed(frame))
  }

  #flushed(frame: OutFrame): void {
    frame.isFlushed = true
    if (frame.onFlushed === null) return
    this.flushedAt = this.#loop.now
    frame.onFlushed()
  }

  /** Whatever comes of it, what was read in one go is told in one go, as `ws` does. */
  #read(): void {
    this.#observer.reads(this)
    this.heardAt = this.#loop.now
    this.readAt = this.#loop.now
    for (const frame of this.#arrived.splice(0, this.temperament.chunk)) {
      if (this.isGone) return
      this.#deliver(frame)
    }
  }

  #deliver(frame: InFrame): void {
    this.#observer.delivers(this, frame)
    if (frame.kind === 'data') return this.#events.message(frame.data, false)
    if (frame.kind === 'end') return this.#over(this.#peerCode ?? 1006)
    if (frame.kind === 'close') return this.#peerCloses(frame.code)
    const { answers } = frame
    if (answers !== null) {
      const later = this.frames.filter(({ kind, index }) => kind === 'ping' && index > answers.index)
      if (later.length < REMEMBERED) this.isKnownToAnswer = true
      this.provedAt = this.#loop.now
      this.provedUpTo = Math.max(this.provedUpTo, answers.index)
    }
    this.#events.pong(frame.payload)
  }

  #peerCloses(code: number): void {
    this.#peerCode ??= code
    this.#sendClose(code)
    // The socket may stay all the same; `ws` has a timer of its own for that.
    this.#closeTimer ??= this.#loop.setTimer(this.#options.closeTimeout + 1_000, () => this.#destroy())
  }

  #sendClose(code: number): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#give('close', String(code), CONTROL_BYTES, null)
    if (this.#peerCode !== null) this.flush()
    // Outside a turn of the client nobody else hands it on.
    else this.#loop.afterTurn(() => this.flush())
  }

  #fail(failure: Failure): void {
    if (this.isGone) return
    this.#failure = this.#failure?.status != null ? this.#failure : failure
    this.#destroy()
  }

  #destroy(): void {
    if (this.isTerminated || this.isGone) return
    this.isTerminated = true
    this.#arrived.length = 0
    this.#ready.length = 0
    if (this.temperament.isGoneInTurn) this.#loop.afterTurn(() => this.#over(this.#peerCode ?? 1006))
  }

  #over(code: number): void {
    if (this.isGone) return
    this.goneAt = this.#loop.now
    this.#deadline?.clear()
    this.#closeTimer?.clear()
    this.#loop.unwatch(this)
    const { shouldReconnect } = this.#options
    this.end = connectionEnd({
      ...{ wasOpen: this.openedAt !== null, wasUpgraded: this.#isUpgraded, code, reason: '' },
      ...{ failure: this.#failure, target: TARGET, shouldReconnect },
    })
    this.#observer.gone(this, this.end)
    this.#events.gone(this.end)
  }
}
