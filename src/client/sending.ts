// send(): from the caller's promise to the outbox and back. What is written when, and what proves it, is delivery.ts.

import type { ErrorCode } from '../shared/errors.js'
import type { ClientErrors } from './client-error.js'
import type { MessageId, MessageInfo, ParsedClientOptions } from './client-options.js'
import type { Refusal } from './client-session.js'
import type { Sendable } from './connection.js'
import type { Environment, Timer } from './environment.js'
import { onAbort } from './on-abort.js'
import type { Entry, Outbox, ReceiptLevel } from './outbox.js'
import type { Outgoing } from './outgoing.js'
import {
  type ParsedSend,
  parseSend,
  type Receipt,
  type SendContext,
  type SendOptions,
  sizeOfData,
} from './send-options.js'
import type { SessionEvent } from './session-effects.js'
import type { ForeignMessage } from './sharing.js'

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

  readonly #context: SendContext

  constructor(port: SendingPort) {
    this.#port = port
    const { options, environment, error } = port
    this.#context = { options, environment, error, isAwaited: (id) => this.#byId.has(id) }
  }

  /** How many `send()` wait for room. */
  get waitingForRoom(): number {
    return this.#waiting.size
  }

  send(data: Sendable, options: SendOptions): Promise<Receipt> {
    const { outbox, error, refusal } = this.#port
    try {
      const parsed = parseSend(data, options, this.#context)
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

  #enter(outgoing: Outgoing, { bytes, level, isLevelFixed, timeout, expiresAt }: ParsedSend): void {
    const { outbox, handle } = this.#port
    const entry = outbox.accept({ bytes, level, isLevelFixed, expiresAt, cargo: outgoing })
    const { signal, id, isAck } = outgoing.options
    if (level === 'processed') {
      if (isAck !== undefined) this.#withTest.add(entry)
      if (id !== undefined) this.#byId.set(id, entry)
    }
    if (signal !== undefined || timeout !== null || expiresAt !== null)
      outgoing.release = this.#limitUntilSettled(entry, { timeout, expiresAt })
    handle(ACCEPTED)
  }

  /** Messages of standbys, whose bounds are their own affair. */
  takeForeign(messages: readonly ForeignMessage[]): void {
    const { outbox, environment, handle, options } = this.#port
    for (const message of messages) {
      const { level, id, expiresIn } = message.terms
      if (level === 'processed' && (id === undefined || options.ackOf === undefined || this.#byId.has(id))) {
        message.reject(this.#port.error('FORKSAFE_ERR_CLIENT_MESSAGE_INVALID', NOT_ACKNOWLEDGEABLE))
        continue
      }
      message.entry = outbox.accept({
        bytes: sizeOfData(message.data),
        level: level ?? (options.receipts === 'off' ? 'written' : 'received'),
        isLevelFixed: level !== undefined,
        expiresAt: expiresIn === undefined ? null : environment.now() + expiresIn,
        isForeign: true,
        cargo: message,
      })
      if (level === 'processed' && id !== undefined) this.#byId.set(id, message.entry)
      // Its sender cannot tell whether we have written it, and so has left this to us.
      const { expiresAt } = message.entry
      if (expiresAt !== null)
        message.release = this.#limitUntilSettled(message.entry, { timeout: null, expiresAt })
    }
    handle(ACCEPTED)
  }

  /** A standby has its message back: as if it had never been taken, also for its id. */
  forget(entry: Entry<Outgoing>): void {
    this.#release(entry)
    this.#port.outbox.forget(entry)
  }

  #limitUntilSettled(
    entry: Entry<Outgoing>,
    { timeout, expiresAt }: Pick<ParsedSend, 'timeout' | 'expiresAt'>,
  ): () => void {
    const { environment, handle } = this.#port
    const { sentAt, options } = entry.cargo
    const left = (ms: number): number => ms - (environment.now() - sentAt)
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
    return this.#limit(lapses, options.signal, (code, why) => {
      // An expired message may still be proved, if it was written in time.
      if (code === 'FORKSAFE_ERR_CLIENT_EXPIRED' && entry.writtenAt !== null) return
      handle({ type: 'withdraw', entry, code, why })
    })
  }

  #waitForRoom(outgoing: Outgoing, parsed: ParsedSend): void {
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

  // --- Room -----------------------------------------------------------------------------------------------------

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
}

interface Lapse {
  ms: number
  code: ErrorCode
  why: string
}

const ACCEPTED = { type: 'accepted' } as const
const NOT_ACKNOWLEDGEABLE =
  "level 'processed' through the worker that holds the connection needs the option ackOf, and an id that no other message waits with"
const TOO_LATE = 'the message was not sent and proved within'
