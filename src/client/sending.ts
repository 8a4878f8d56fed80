// send(): from the caller's promise to the outbox and back. What is written when, and what proves it, is delivery.ts.

import { type Duration, parseDuration, show } from '../shared/duration.js'
import type { ErrorCode } from '../shared/errors.js'
import type { ClientErrors } from './client-error.js'
import type { MessageId, MessageInfo, ParsedClientOptions } from './client-options.js'
import type { Refusal } from './client-session.js'
import type { Sendable } from './connection.js'
import type { Environment, Timer } from './environment.js'
import { onAbort } from './on-abort.js'
import type { Entry, Outbox, ReceiptLevel } from './outbox.js'
import type { SessionEvent } from './session-effects.js'

/** Proof of what became of a message. */
export interface Receipt {
  /**
   * `written`: the kernel took it while the connection was alive. `received`: the endpoint that ends this WebSocket
   * connection has read it. `processed`: the upstream's application has acknowledged it.
   */
  level: ReceiptLevel
  /** Number of the connection that it went over. */
  epoch: number
  /** ms from `send()` to the receipt. */
  rtt: number
}

export interface SendOptions {
  /** What has to be proved. Default `received`, where the peer can prove that (option `receipts`). */
  level?: ReceiptLevel
  /** For all of it: to be sent and proved. Default: no bound of its own. */
  timeout?: Duration
  /** Not to be written after this time: a Date, or ms since 1970. */
  expiresAt?: Date | number
  /** Aborting rejects this call. What was not written then is not sent. */
  signal?: AbortSignal
  /** By which the option `ackOf` knows it. Needed for `processed`, unless `isAck` is given. */
  id?: MessageId
  /** Whether an incoming message acknowledges this one. */
  isAck?: (data: string | Buffer, info: MessageInfo) => boolean
  /** Default: the client's option of that name. */
  whenFull?: 'reject' | 'wait'
}

/** A message in the outbox, with who waits for it. */
export interface Outgoing {
  readonly data: Sendable
  readonly sentAt: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: unknown) => void
  readonly options: SendOptions
  /** Takes timer and abort listener away; null where there is none. */
  release: (() => void) | null
}

interface Parsed {
  bytes: number
  level: ReceiptLevel
  isLevelFixed: boolean
  timeout: number | null
  expiresAt: number | null
}

/** What `send()` asks of the client. */
export interface SendingPort {
  readonly outbox: Outbox<Outgoing>
  readonly options: ParsedClientOptions
  readonly environment: Environment
  readonly error: ClientErrors
  handle(event: SessionEvent<Outgoing>): void
  refusal(): Refusal | null
}

interface WaitingForRoom {
  readonly bytes: number
  enter(): void
  leave(error: unknown): void
}

export class Sending {
  readonly #port: SendingPort
  readonly #waiting = new Set<WaitingForRoom>()
  /** What waits for an acknowledgement, by id; and what has a test of its own. */
  readonly #byId = new Map<MessageId, Entry<Outgoing>>()
  readonly #withTest = new Set<Entry<Outgoing>>()

  #isAdmitting = false

  constructor(port: SendingPort) {
    this.#port = port
  }

  /** How many `send()` wait for room. */
  get waitingForRoom(): number {
    return this.#waiting.size
  }

  send(data: Sendable, options: SendOptions): Promise<Receipt> {
    const { outbox, error, refusal } = this.#port
    try {
      const parsed = this.#parse(data, options)
      if (options.signal?.aborted)
        throw error('FORKSAFE_ERR_CLIENT_ABORTED', 'send() was aborted', options.signal.reason)
      const refused = refusal()
      if (refused !== null) throw error(refused.code, `send(): ${refused.why}; connect() tries it again`)
      const hasRoom = this.#waiting.size === 0 && outbox.hasRoomFor(parsed.bytes)
      if (!hasRoom && !this.#mayWait(parsed.bytes, options)) throw this.#full(parsed.bytes)
      return new Promise((resolve, reject) => {
        const sentAt = this.#port.environment.now()
        const outgoing: Outgoing = { data, sentAt, resolve, reject, options, release: null }
        if (hasRoom) this.#enter(outgoing, parsed)
        else this.#waitForRoom(outgoing, parsed)
      })
    } catch (thrown) {
      return Promise.reject(thrown)
    }
  }

  // --- Into the outbox ------------------------------------------------------------------------------------------

  #enter(outgoing: Outgoing, { bytes, level, isLevelFixed, timeout, expiresAt }: Parsed): void {
    const { environment, outbox, handle } = this.#port
    const entry = outbox.accept({ bytes, level, isLevelFixed, expiresAt, cargo: outgoing })
    const { signal, id, isAck } = outgoing.options
    if (level === 'processed') {
      if (isAck !== undefined) this.#withTest.add(entry)
      if (id !== undefined) this.#byId.set(id, entry)
    }
    const left = (ms: number): number => ms - (environment.now() - outgoing.sentAt)
    const lapses: Lapse[] = []
    if (timeout !== null)
      lapses.push({
        ms: left(timeout),
        code: 'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT',
        why: `${TOO_LATE} ${timeout} ms`,
      })
    if (expiresAt !== null)
      lapses.push({
        ms: expiresAt - environment.now(),
        code: 'FORKSAFE_ERR_CLIENT_EXPIRED',
        why: 'the message has expired',
      })
    if (signal !== undefined || lapses.length > 0) {
      outgoing.release = this.#limit(lapses, signal, (code, why) => {
        // An expired message may still be proved, if it was written in time.
        if (code === 'FORKSAFE_ERR_CLIENT_EXPIRED' && entry.writtenAt !== null) return
        handle({ type: 'withdraw', entry, code, why })
      })
    }
    handle(ACCEPTED)
  }

  #waitForRoom(outgoing: Outgoing, parsed: Parsed): void {
    const { error, environment } = this.#port
    const { timeout, expiresAt, bytes } = parsed
    const lapses: Lapse[] = []
    const noRoom = (ms: number): Lapse => ({
      ms,
      code: 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
      why: `there was no room in the outbox within ${Math.round(ms)} ms`,
    })
    if (timeout !== null) lapses.push(noRoom(timeout))
    if (expiresAt !== null) lapses.push(noRoom(expiresAt - environment.now()))
    const place: WaitingForRoom = {
      bytes,
      enter: () => {
        release()
        this.#waiting.delete(place)
        this.#enter(outgoing, parsed)
      },
      leave: (reason) => {
        release()
        this.#waiting.delete(place)
        outgoing.reject(reason)
      },
    }
    this.#waiting.add(place)
    const release = this.#limit(lapses, outgoing.options.signal, (code, why) => place.leave(error(code, why)))
  }

  #limit(
    lapses: readonly Lapse[],
    signal: AbortSignal | undefined,
    lapse: (code: ErrorCode, why: string) => void,
  ): () => void {
    const { setTimer } = this.#port.environment
    const timers: Timer[] = lapses.map(({ ms, code, why }) =>
      setTimer(Math.max(1, ms), () => lapse(code, why), true),
    )
    const abort = (): void => lapse('FORKSAFE_ERR_CLIENT_ABORTED', 'send() was aborted')
    const forget = signal === undefined ? null : onAbort(signal, abort)
    return () => {
      for (const timer of timers) timer.clear()
      forget?.()
    }
  }

  /** To be called when something was settled: who waited longest gets the room first. */
  roomMade(): void {
    // Whoever enters may make room itself: without this, a thousand that enter would stand on each other's shoulders.
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    this.#admit()
    this.#isAdmitting = false
  }

  #admit(): void {
    for (const place of this.#waiting) {
      if (!this.#port.outbox.hasRoomFor(place.bytes)) return
      place.enter()
    }
  }

  /** Nobody who waits for room will get it. */
  refuseWaiting(code: ErrorCode, why: string): void {
    for (const place of [...this.#waiting]) place.leave(this.#port.error(code, why))
  }

  // --- Out of it ------------------------------------------------------------------------------------------------

  confirmed(entries: readonly Entry<Outgoing>[], level: ReceiptLevel, epoch: number): void {
    const now = this.#port.environment.now()
    for (const entry of entries) {
      this.#release(entry)
      entry.cargo.resolve({ level, epoch, rtt: now - entry.cargo.sentAt })
    }
  }

  rejected(entries: readonly Entry<Outgoing>[], code: ErrorCode, why: string): void {
    for (const entry of entries) {
      this.#release(entry)
      const { signal } = entry.cargo.options
      entry.cargo.reject(this.#port.error(code, why, signal?.aborted ? signal.reason : undefined))
    }
  }

  #release(entry: Entry<Outgoing>): void {
    const { release, options } = entry.cargo
    release?.()
    if (entry.level !== 'processed') return
    this.#withTest.delete(entry)
    if (options.id !== undefined) this.#byId.delete(options.id)
  }

  // --- Acknowledgements -----------------------------------------------------------------------------------------

  get awaitsAcknowledgement(): boolean {
    return this.#byId.size > 0 || this.#withTest.size > 0
  }

  /** What an incoming message acknowledges. What the user's functions throw is thrown on. */
  incoming(data: string | Buffer, info: MessageInfo): void {
    const { options, handle } = this.#port
    const said = this.#byId.size > 0 ? options.ackOf?.(data, info) : undefined
    const acknowledged = [said ?? []].flat().flatMap((id) => this.#byId.get(id) ?? [])
    for (const entry of this.#withTest) if (entry.cargo.options.isAck?.(data, info)) acknowledged.push(entry)
    for (const entry of acknowledged) handle({ type: 'acknowledged', entry })
  }

  // --- At the door ----------------------------------------------------------------------------------------------

  #parse(data: Sendable, options: SendOptions): Parsed {
    const bytes = this.#sizeOf(data)
    if (options === NO_OPTIONS)
      return { bytes, level: this.#defaultLevel, isLevelFixed: false, timeout: null, expiresAt: null }
    const { level, timeout, expiresAt } = options
    if (level !== undefined) this.#checkLevel(level, options)
    return {
      bytes,
      level: level ?? this.#defaultLevel,
      isLevelFixed: level !== undefined,
      timeout:
        timeout === undefined
          ? null
          : this.#checked(() => parseDuration('timeout of send()', timeout, { min: 1 })),
      expiresAt: expiresAt === undefined ? null : this.#deadline(expiresAt),
    }
  }

  get #defaultLevel(): ReceiptLevel {
    return this.#port.options.receipts === 'off' ? 'written' : 'received'
  }

  #checkLevel(level: ReceiptLevel, { id, isAck }: SendOptions): void {
    const { options, error } = this.#port
    if (!LEVELS.includes(level))
      throw this.#invalid(`level ${show(level)} is not one of ${LEVELS.join(', ')}`)
    if (level === 'received' && options.receipts === 'off')
      throw error(
        'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
        "send() with level 'received': this client has receipts: 'off'; use 'auto' or 'require'",
      )
    if (level !== 'processed') return
    if (isAck === undefined && (id === undefined || options.ackOf === undefined))
      throw this.#invalid("level 'processed' needs isAck, or an id and the client's option ackOf")
    if (id !== undefined && this.#byId.has(id))
      throw this.#invalid(`id ${show(id)} is in use by a message that is not acknowledged yet`)
  }

  /** On the session's clock. */
  #deadline(expiresAt: Date | number): number {
    const { environment } = this.#port
    const at = Number(expiresAt)
    if (Number.isNaN(at)) throw this.#invalid('expiresAt is neither a Date nor ms since 1970')
    return environment.now() + (at - environment.wallNow())
  }

  #checked<Value>(parse: () => Value): Value {
    try {
      return parse()
    } catch (error) {
      throw this.#invalid(error instanceof Error ? error.message : String(error))
    }
  }

  #mayWait(bytes: number, { whenFull }: SendOptions): boolean {
    const { options } = this.#port
    return (whenFull ?? options.whenFull) === 'wait' && bytes <= options.maxPending.bytes
  }

  #full(bytes: number): Error {
    const { outbox, options, error } = this.#port
    const { count, bytes: limit } = options.maxPending
    return error(
      'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
      `${outbox.pending} of ${count} messages and ${outbox.pendingBytes} of ${limit} bytes are pending, ${bytes} more do not fit; send less, or raise maxPending`,
    )
  }

  #sizeOf(data: unknown): number {
    if (typeof data === 'string') return Buffer.byteLength(data)
    if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer) return data.byteLength
    const kind = data === null ? 'null' : typeof data
    throw this.#invalid(
      `send() takes a string, a Buffer, a typed array or an ArrayBuffer, not ${kind}; use JSON.stringify() for an object`,
    )
  }

  #invalid(why: string): Error {
    return this.#port.error('FORKSAFE_ERR_CLIENT_MESSAGE_INVALID', why)
  }
}

interface Lapse {
  ms: number
  code: ErrorCode
  why: string
}

export const NO_OPTIONS: SendOptions = {}
const ACCEPTED = { type: 'accepted' } as const
const TOO_LATE = 'the message was not sent and proved within'
const LEVELS: readonly ReceiptLevel[] = ['written', 'received', 'processed']
