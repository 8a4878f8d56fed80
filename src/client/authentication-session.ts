// What the hook `afterConnect` is given: the new connection before queued messages flow, to authenticate on it and to
// subscribe again. Which of the connection's messages it has waited for is its own affair: listeners get them as well.

import type { ClientSessionHandle } from './client-options.js'
import type { Sendable } from './connection.js'

/** A hook that has not asked for messages is not held for ever. */
const MOST_UNREAD = 256

export class AuthenticationSession implements ClientSessionHandle {
  readonly epoch: number
  readonly protocol: string
  readonly fencingToken: number | null
  readonly signal: AbortSignal
  readonly #send: (data: Sendable) => Promise<void>
  readonly #unread: (string | Buffer)[] = []
  readonly #readers: { resolve: (data: string | Buffer) => void; reject: (error: unknown) => void }[] = []
  #hasOverflown = false

  constructor(
    { epoch, protocol, fencingToken }: Pick<ClientSessionHandle, 'epoch' | 'protocol' | 'fencingToken'>,
    signal: AbortSignal,
    send: (data: Sendable) => Promise<void>,
  ) {
    this.epoch = epoch
    this.protocol = protocol
    this.fencingToken = fencingToken
    this.signal = signal
    this.#send = send
    signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  send(data: Sendable): Promise<void> {
    return this.#send(data)
  }

  receive(): Promise<string | Buffer> {
    if (this.#hasOverflown)
      return Promise.reject(
        new Error(`more than ${MOST_UNREAD} messages came in before session.receive() was called`),
      )
    const next = this.#unread.shift()
    if (next !== undefined) return Promise.resolve(next)
    if (this.signal.aborted) return Promise.reject(gone())
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }

  /** A message of this connection. */
  push(data: string | Buffer): void {
    const reader = this.#readers.shift()
    if (reader !== undefined) return reader.resolve(data)
    if (this.#unread.length < MOST_UNREAD) this.#unread.push(data)
    else this.#hasOverflown = true
  }

  #end(): void {
    for (const { reject } of this.#readers.splice(0)) reject(gone())
  }
}

const gone = (): Error => new Error('the connection ended')
