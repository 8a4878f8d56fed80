// Sends what one client's spool holds over its guarded client, in order, and settles what has arrived. What is sent when,
// and what becomes of it, is decided in forwarder-core.ts; here are promises, events and timers.

import { messageOf } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import { settledWithin } from '../shared/settled-within.js'
import { ForwarderCore } from './forwarder-core.js'
import type {
  Entry,
  ForwarderEffect,
  ForwarderEvent,
  ForwarderLimits,
  SendFailure,
} from './forwarder-effects.js'
import type { DeliveryReceipt } from './messages.js'
import { failureOf, type RelayClient } from './relay-client.js'
import type { Spool } from './spool.js'

export interface ForwarderDeps {
  client: RelayClient
  spool: Spool
  limits: ForwarderLimits
  /** What was settled, just now. */
  settled: (entries: readonly Entry[]) => void
  log: (level: LogLevel, text: string) => void
}

/** How the connection stands, for reports. */
export interface ForwarderStatus {
  state: string
  inFlight: number
  /** Why nothing goes out now; null where it does, or nothing waits. */
  trouble: string | null
}

const TICK = 1_000
/** So many are told one by one in so many ms. */
const PARKED_LINES = 20
const PARKED_PERIOD = 10_000

export class Forwarder {
  readonly #deps: ForwarderDeps
  readonly #core: ForwarderCore
  readonly #forget: () => void
  readonly #stopped: Promise<void>
  #tellStopped: () => void = () => {}
  #receipts: { entry: Entry; receipt: DeliveryReceipt }[] = []
  #failures: SendFailure[] = []
  #isFlushDue = false
  #watch: NodeJS.Timeout | null = null
  #rest: NodeJS.Timeout | null = null
  #trouble: string | null = null
  #parkedSince = Number.NEGATIVE_INFINITY
  #parkedLines = 0
  #isStopping = false
  #isOver = false

  /** Begins at the first message that is not settled. */
  constructor(deps: ForwarderDeps) {
    this.#deps = deps
    this.#core = new ForwarderCore(deps.limits)
    this.#stopped = new Promise((resolve) => {
      this.#tellStopped = resolve
    })
    const { client, spool } = deps
    client.on('opened', () => {
      this.#say('info', null)
      this.#handle({ type: 'opened' })
    })
    client.on('lost', ({ code, reason, isByPeer, message }) => {
      if (!this.#isStopping) this.#say('warn', message)
      this.#handle({ type: 'lost', code, reason, isByPeer })
    })
    client.on('refused', ({ error }) => this.#handle({ type: 'refused', why: error.message }))
    client.on('superseded', ({ code, reason }) =>
      this.#handle({ type: 'refused', why: `superseded with code ${code} ${JSON.stringify(reason)}` }),
    )
    client.on('waiting', ({ reason }) => this.#say('warn', reason))
    spool.rewind()
    this.#forget = spool.onMore(() => this.#handle({ type: 'more' }))
    // Not while its owner is being made: what follows calls back.
    queueMicrotask(() => this.#handle({ type: 'more' }))
  }

  status(): ForwarderStatus {
    return { state: this.#core.line, inFlight: this.#core.inFlight, trouble: this.#trouble }
  }

  /** To be called when an operator has dropped it. */
  dropped(id: string): void {
    this.#handle({ type: 'dropped', id })
  }

  /** Takes no more, waits for the receipts of what is in flight, and closes the client. What was not sent stays. */
  async stop({ timeout }: { timeout: number }): Promise<void> {
    this.#isStopping = true
    this.#handle({ type: 'stop' })
    const since = performance.now()
    await settledWithin(this.#stopped, timeout / 2)
    const left = Math.max(1, timeout - (performance.now() - since))
    if (!(await settledWithin(this.#deps.client.close(), left))) await this.#deps.client.terminate()
    this.#end()
  }

  /** At once: somebody else may own the spool. */
  async abandon(): Promise<void> {
    this.#end()
    await this.#deps.client.terminate()
  }

  #end(): void {
    this.#flush()
    this.#isOver = true
    this.#forget()
    this.#setWatch(false)
    if (this.#rest !== null) clearTimeout(this.#rest)
  }

  #handle(event: ForwarderEvent): void {
    if (this.#isOver) return
    for (const effect of this.#core.handle(event, Date.now())) this.#carryOut(effect)
  }

  #carryOut(effect: ForwarderEffect): void {
    switch (effect.type) {
      case 'take':
        return this.#take(effect)
      case 'send':
        for (const entry of effect.entries) this.#send(entry)
        return
      case 'settle':
        return this.#settle(effect.entries)
      case 'park':
        return this.#park(effect.entry, effect.reason)
      case 'connect':
        return this.#connectSoon()
      case 'rest':
        return this.#restFor(effect.ms, effect.why)
      case 'watch':
        return this.#setWatch(effect.isOn)
      case 'suspected':
        return this.#deps.log(
          'warn',
          `${effect.why} while ${effect.count} messages were in flight; they are sent again one by one`,
        )
      case 'stopped':
        return this.#tellStopped()
    }
  }

  /** Not within the event by which the client says that it has given up: it would take the call for one of before. */
  #connectSoon(): void {
    setImmediate(() => {
      // How it went is told by events.
      if (!this.#isOver) this.#deps.client.connect().catch(() => {})
    })
  }

  #take(limits: { count: number; bytes: number }): void {
    this.#deps.spool.take(limits).then(
      (messages) => this.#handle({ type: 'taken', messages }),
      (error: unknown) => {
        this.#deps.log('error', `the spool cannot be read: ${messageOf(error)}`)
        this.#handle({ type: 'taken', messages: [] })
        if (this.#isOver) return
        const again = setTimeout(() => this.#handle({ type: 'more' }), TICK)
        again.unref()
      },
    )
  }

  #send(entry: Entry): void {
    const { isBinary, body } = entry.message
    this.#deps.client.send(isBinary ? body : body.toString('utf8')).then(
      (receipt) => {
        this.#receipts.push({ entry, receipt })
        this.#flushSoon()
      },
      (error: unknown) => {
        this.#failures.push({ entry, ...failureOf(error) })
        this.#flushSoon()
      },
    )
  }

  /** What one pong proves is settled together. */
  #flushSoon(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#isFlushDue = false
    const receipts = this.#receipts
    const failures = this.#failures
    this.#receipts = []
    this.#failures = []
    if (receipts.length > 0) this.#handle({ type: 'delivered', receipts })
    if (failures.length > 0) this.#handle({ type: 'failed', failures })
  }

  #settle(entries: readonly Entry[]): void {
    const { spool, settled } = this.#deps
    for (const { message, settlement } of entries)
      if (settlement !== null) spool.settle(message.seq, settlement)
    settled(entries)
  }

  #park(entry: Entry, reason: string): void {
    const { spool, log } = this.#deps
    const { message } = entry
    spool.park(message, reason).then(
      () => {
        this.#sayParked(message.id, reason)
        this.#handle({ type: 'parked', entry })
      },
      (error: unknown) => {
        log('error', `message ${JSON.stringify(message.id)} cannot be parked yet: ${messageOf(error)}`)
        this.#handle({ type: 'parkFailed', entry })
      },
    )
  }

  /** A backlog that has grown too old is a million messages, and not as many lines. */
  #sayParked(id: string, reason: string): void {
    const now = performance.now()
    if (now - this.#parkedSince > PARKED_PERIOD) {
      this.#parkedSince = now
      this.#parkedLines = 0
    }
    if (++this.#parkedLines > PARKED_LINES) return
    this.#deps.log('warn', `message ${JSON.stringify(id)} is parked: ${reason}`)
    if (this.#parkedLines === PARKED_LINES)
      this.#deps.log(
        'warn',
        `more may be parked; for ${PARKED_PERIOD / 1_000} s they are not told one by one`,
      )
  }

  #restFor(ms: number, why: string): void {
    this.#say('error', `${why}; the messages are kept, it is asked again each ${ms / 1_000} s`)
    this.#rest = setTimeout(() => {
      this.#rest = null
      this.#handle({ type: 'rested' })
    }, ms)
    this.#rest.unref()
  }

  #setWatch(isOn: boolean): void {
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#watch = isOn ? setInterval(() => this.#handle({ type: 'tick' }), TICK) : null
    this.#watch?.unref()
  }

  /** Once for each trouble, however often it is tried. */
  #say(level: LogLevel, trouble: string | null): void {
    if (trouble === this.#trouble) return
    if (trouble !== null || this.#trouble !== null)
      this.#deps.log(level, trouble ?? 'the connection is open again')
    this.#trouble = trouble
  }
}
