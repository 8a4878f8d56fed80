// What is on the wire, as whoever sees both ends of it knows it.

import type { Sendable } from '../../../src/client/connection.js'

/** From us to the peer. */
export interface OutFrame {
  readonly kind: 'data' | 'ping' | 'pong' | 'close'
  readonly data: Sendable
  readonly bytes: number
  readonly onFlushed: (() => void) | null
  /** Its place among the frames of its connection. */
  readonly index: number
  readonly givenAt: number
  /** Where it ends in the stream of bytes; 0 before it was handed to the kernel. */
  end: number
  /** Whether the kernel has taken it. */
  isTaken: boolean
  /** Whether our process was told so. */
  isFlushed: boolean
  /** Whether the peer's parser has read it. */
  isRead: boolean
}

/** From the peer to us. */
export type InFrame =
  | { readonly kind: 'data'; readonly data: string }
  /** `answers`: the ping that the peer had read; null if it made the payload up. */
  | { readonly kind: 'pong'; readonly payload: string; readonly answers: OutFrame | null }
  | { readonly kind: 'close'; readonly code: number }
  | { readonly kind: 'end' }
