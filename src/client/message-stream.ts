// client.messages(): what comes in as an async iterator, bounded. When a consumer lags behind, the socket is paused, so
// the upstream feels it; nothing is dropped.

export interface IncomingMessage {
  /** Text frames as a string, binary frames as a Buffer. */
  data: string | Buffer
  isBinary: boolean
  epoch: number
}

/** Messages that may wait for a consumer before the socket is paused, and when it goes on. */
const PAUSE_AT = 64
const RESUME_AT = 16

export class MessageStreams {
  readonly #streams = new Set<MessageStream>()
  readonly #onPressure: (isPaused: boolean) => void
  #isPaused = false

  constructor(onPressure: (isPaused: boolean) => void) {
    this.#onPressure = onPressure
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  open(): AsyncIterableIterator<IncomingMessage> {
    const stream = new MessageStream(() => this.#rebalance())
    this.#streams.add(stream)
    stream.onEnd = () => {
      this.#streams.delete(stream)
      this.#rebalance()
    }
    return stream
  }

  push(message: IncomingMessage): void {
    for (const stream of this.#streams) stream.push(message)
  }

  /** No message will come any more: consumers get what waits, then the end. */
  end(): void {
    for (const stream of [...this.#streams]) stream.end()
  }

  /** The slowest consumer decides. */
  #rebalance(): void {
    const most = Math.max(0, ...[...this.#streams].map((stream) => stream.waiting))
    const shallPause = this.#isPaused ? most > RESUME_AT : most >= PAUSE_AT
    if (shallPause === this.#isPaused) return
    this.#isPaused = shallPause
    this.#onPressure(shallPause)
  }
}

class MessageStream implements AsyncIterableIterator<IncomingMessage> {
  onEnd: () => void = () => {}
  readonly #onChange: () => void
  readonly #messages: IncomingMessage[] = []
  readonly #readers: ((result: IteratorResult<IncomingMessage>) => void)[] = []
  #isEnded = false

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get waiting(): number {
    return this.#messages.length
  }

  push(message: IncomingMessage): void {
    if (this.#isEnded) return
    const reader = this.#readers.shift()
    if (reader !== undefined) return reader({ done: false, value: message })
    this.#messages.push(message)
    this.#onChange()
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined })
    this.onEnd()
  }

  next(): Promise<IteratorResult<IncomingMessage>> {
    const message = this.#messages.shift()
    if (message !== undefined) {
      this.#onChange()
      return Promise.resolve({ done: false, value: message })
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  /** The consumer has left its loop. */
  return(): Promise<IteratorResult<IncomingMessage>> {
    this.#messages.length = 0
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
