// What a client needs of a connection: the door between the client's decisions and `ws`. attempt.ts is the real one.

import type { ConnectionEnd } from './connection-end.js'

export type Sendable = string | NodeJS.ArrayBufferView | ArrayBuffer

/** One attempt and, if it succeeds, its connection. It reports `opened` at most once and `gone` exactly once. */
export interface Connection {
  /** Begins; from here on `gone` is certain to come. */
  dial(): void
  /**
   * Queues a message; what is queued in one turn is handed on by `flush`. `onFlushed` is called when the kernel has taken
   * it, and all before it, while the connection was alive; otherwise `gone` tells.
   */
  send(data: Sendable, onFlushed: (() => void) | null): void
  ping(payload: string): void
  pong(): void
  /** Hands on what was queued in this turn. */
  flush(): void
  /** The close handshake; who told it so bounds it. */
  close(code: number): void
  /** Destroys whatever there is; `why` is told as the reason. */
  terminate(why: string | null): void
  /** A Close frame in the last moment of the process: written at once if the kernel takes it. */
  closeSync(code: number): void
  pause(): void
  resume(): void
  /** Whether what is given to it can still be written: not once either side has begun to end it. */
  readonly isWritable: boolean
  /** When bytes last came in, on the client's clock. */
  readonly heardAt: number
}

export interface ConnectionEvents {
  opened(): void
  message(data: string | Buffer, isBinary: boolean): void
  pong(payload: string): void
  gone(end: ConnectionEnd): void
}
