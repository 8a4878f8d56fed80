// One accepted connection and what goes on over it. Which connections there are: connections.ts.

import type { ServerResponse } from 'node:http'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

/**
 * What a drain has to know about a connection.
 *
 * `requests`: what will be answered by itself, so a drain waits for it first. `longLived`: what ends only when the
 * application or the peer ends it: upgraded sockets (WebSockets, CONNECT), event streams, connections of plain
 * net servers. Neither: idle.
 */
export interface Work {
  requests: number
  longLived: number
}

export class Connection {
  /** The socket that the application sees: the TLS socket once there is one. */
  socket: Socket
  readonly responses = new Set<ServerResponse>()
  readonly streams = new Set<ServerHttp2Stream>()
  session: ServerHttp2Session | null = null
  /** Whether its server speaks TLS and the handshake is not done. */
  isShakingHands: boolean
  /** When it was accepted, on the monotonic clock. */
  readonly since: number
  /** Whether there has been a request on it. */
  wasUsed = false
  /** Whether we have said that we send no more. */
  isEnded = false
  #isForced = false

  constructor(socket: Socket, isShakingHands: boolean, since: number) {
    this.socket = socket
    this.since = since
    this.isShakingHands = isShakingHands
  }

  work(): Work {
    if (this.#isForced) return { requests: 0, longLived: 0 }
    const exchanges = [...this.responses, ...this.streams]
    if (exchanges.length === 0) return { requests: 0, longLived: this.#isTheApps() ? 1 : 0 }
    const longLived = exchanges.filter(isEventStream).length
    return { requests: exchanges.length - longLived, longLived }
  }

  /** From now on each answer that has not begun says `Connection: close`, and HTTP/2 peers open no more streams. */
  announceEnd(): void {
    for (const response of this.responses) {
      if (!response.headersSent) response.shouldKeepAlive = false
    }
    // The highest possible stream id: streams that the peer opened before it read this are still answered
    // (RFC 9113 section 6.8). The final GOAWAY is sent by end().
    if (this.session && !this.session.closed && !this.session.destroyed) this.session.goaway(0, 2 ** 31 - 1)
  }

  /** Ends it politely: what was written is sent, HTTP/2 streams that are open finish. */
  end(): void {
    this.isEnded = true
    if (this.session) this.session.close()
    else this.socket.end()
  }

  /** Ends whatever goes on, finished or not; event streams get their regular end. */
  endByForce(): void {
    this.isEnded = true
    this.#isForced = true
    for (const exchange of [...this.responses, ...this.streams]) {
      if (isEventStream(exchange)) exchange.end()
      else exchange.destroy()
    }
    if (this.session) this.session.close()
    else if (this.responses.size === 0) this.socket.destroySoon()
  }

  #isTheApps(): boolean {
    if (this.session || this.isShakingHands) return false
    // node:http takes its parser off a socket that it hands to an 'upgrade' or 'connect' listener (null), and plain
    // net servers never had one (undefined). No event or channel tells of an upgrade.
    const parser: unknown = Reflect.get(this.socket, 'parser')
    return parser === null || parser === undefined
  }
}

const isEventStream = (exchange: ServerResponse | ServerHttp2Stream): boolean => {
  if (!exchange.headersSent) return false
  if ('sentHeaders' in exchange) return String(exchange.sentHeaders['content-type']).startsWith(EVENT_STREAM)
  // Headers given to writeHead() alone are not found by getHeader(), only in the text that was sent.
  const sent: unknown = Reflect.get(exchange, '_header')
  return typeof sent === 'string' && /\r\ncontent-type: *text\/event-stream/i.test(sent)
}

const EVENT_STREAM = 'text/event-stream'
