// client.messages(): what comes in as an async iterator, bounded. When a consumer lags behind, the socket is paused, so
// the upstream feels it; nothing is dropped. Who pauses, and when reading goes on all the same because an answer is
// waited for, is session-runner.ts.

import type { MessageInfo } from './client-options.js'

export interface IncomingMessage extends MessageInfo {
  /** Text frames as a string, binary frames as a Buffer. */
  data: string | Buffer
}

/** What may wait for a consumer before the upstream is held back, and when it goes on. */
const PRESSED_AT = { count: 64, bytes: 1024 * 1024 }
const RELIEVED_AT = { count: 16, bytes: 256 * 1024 }
/** What may wait when reading goes on all the same, to find an answer among it. */
const FULL_AT = { count: 8_192, bytes: 16 * 1024 * 1024 }

interface Load {
  count: number
  bytes: number
}

export class MessageStreams {
  readonly #streams = new Set<MessageStream>()
  readonly #onChange: () => void
  #isPressed = false
  #isFull = false

  /** @param onChange called when `isPressed` or `isFull` has changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Whether nobody iterates. */
  get isEmpty(): boolean {
    return this.#streams.size === 0
  }

  /** Whether the slowest consumer lags behind. */
  get isPressed(): boolean {
    return this.#isPressed
  }

  /** Whether nothing more can be kept for it. */
  get isFull(): boolean {
    return this.#isFull
  }

  open(): AsyncIterableIterator<IncomingMessage> {
    const stream = new MessageStream(
      () => this.#weigh(),
      () => {
        this.#streams.delete(stream)
        this.#weigh()
      },
    )
    this.#streams.add(stream)
    return stream
  }

  push(message: IncomingMessage): void {
    for (const stream of this.#streams) stream.push(message)
  }

  /** No message will come any more: consumers get what waits, then the end. */
  end(): void {
    for (const stream of [...this.#streams]) stream.end()
  }

  #weigh(): void {
    const loads = [...this.#streams].map(({ load }) => load)
    const isPressed = loads.some((load) => isBeyond(load, this.#isPressed ? RELIEVED_AT : PRESSED_AT))
    const isFull = loads.some((load) => isBeyond(load, FULL_AT))
    if (isPressed === this.#isPressed && isFull === this.#isFull) return
    this.#isPressed = isPressed
    this.#isFull = isFull
    this.#onChange()
  }
}

const isBeyond = (load: Load, limit: Load): boolean => load.count >= limit.count || load.bytes >= limit.bytes

class MessageStream implements AsyncIterableIterator<IncomingMessage> {
  readonly load: Load = { count: 0, bytes: 0 }
  readonly #onChange: () => void
  readonly #onEnd: () => void
  readonly #messages: IncomingMessage[] = []
  readonly #readers: ((result: IteratorResult<IncomingMessage>) => void)[] = []
  #isEnded = false

  constructor(onChange: () => void, onEnd: () => void) {
    this.#onChange = onChange
    this.#onEnd = onEnd
  }

  push(message: IncomingMessage): void {
    if (this.#isEnded) return
    const reader = this.#readers.shift()
    if (reader !== undefined) return reader({ done: false, value: message })
    this.#messages.push(message)
    this.#weigh(1, message)
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined })
    this.#onEnd()
  }

  next(): Promise<IteratorResult<IncomingMessage>> {
    const message = this.#messages.shift()
    if (message !== undefined) {
      this.#weigh(-1, message)
      return Promise.resolve({ done: false, value: message })
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  #weigh(sign: 1 | -1, { data }: IncomingMessage): void {
    this.load.count += sign
    this.load.bytes += sign * data.length
    this.#onChange()
  }

  /** The consumer has left its loop. */
  return(): Promise<IteratorResult<IncomingMessage>> {
    this.#messages.length = 0
    this.load.count = 0
    this.load.bytes = 0
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
