// What the forwarder decides: when messages are taken from the spool, which are handed to the client, what becomes of them
// when a connection ends. Pure: events and the time in, effects out. Who carries them out is forwarder.ts; what the client
// does with a message is src/client.
//
// The client is told to give up whenever an open connection ends (see `isWorthAnotherAttempt`): then it hands back all that
// it had, and what goes out next, and in which company, is decided here. It is handed messages only while it is open.

import { isPoison, POLICY_VIOLATION } from './close-codes.js'
import type {
  Entry,
  ForwarderEffect,
  ForwarderEvent,
  ForwarderLimits,
  SendFailure,
} from './forwarder-effects.js'
import type { SpooledMessage } from './messages.js'
import type { Settlement } from './spool.js'

type Line =
  /** Nothing was asked of the client. */
  | 'idle'
  /** It dials, and goes on by itself. */
  | 'dialling'
  | 'open'
  /** The connection is gone; the client says what follows. */
  | 'ended'
  /** It has given up; all that it had comes back. */
  | 'refused'
  | 'resting'

export class ForwarderCore {
  readonly #limits: ForwarderLimits
  /** In the order in which they were taken; settled from the front. */
  #entries: Entry[] = []
  #bytes = 0
  #inFlight = 0
  /** All before it are sent, or done. */
  #cursor = 0
  #isTaking = false
  #mayBeMore = true
  #line: Line = 'idle'
  #end: { code: number; why: string; isByPeer: boolean } | null = null
  #refusal = ''
  /** What had been written when the client gave up. */
  #handedBack: Entry[] = []
  /** A suspect is in flight: nothing goes out beside it. */
  #isAlone = false
  #isStopping = false
  #isStopped = false
  #isWatching = false
  #effects: ForwarderEffect[] = []

  constructor(limits: ForwarderLimits) {
    this.#limits = limits
  }

  get line(): Line {
    return this.#line
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** @param now Unix time in ms. */
  handle(event: ForwarderEvent, now: number): ForwarderEffect[] {
    this.#effects = []
    this.#handle(event, now)
    this.#proceed(now)
    return this.#effects
  }

  #handle(event: ForwarderEvent, now: number): void {
    switch (event.type) {
      case 'more':
        this.#mayBeMore = true
        return
      case 'taken':
        return this.#taken(event.messages)
      case 'opened':
        this.#line = 'open'
        this.#end = null
        this.#handedBack = []
        return
      case 'lost':
        return this.#lost(event)
      case 'refused':
        this.#line = 'refused'
        this.#refusal = event.why
        return
      case 'rested':
        if (this.#line === 'resting') this.#line = 'idle'
        return
      case 'delivered':
        for (const { entry, receipt } of event.receipts) this.#done(entry, { state: 'delivered', receipt })
        return
      case 'failed':
        for (const failure of event.failures) this.#failed(failure)
        return
      case 'parked':
        return this.#close(event.entry)
      case 'parkFailed':
        event.entry.state = 'unparked'
        return
      case 'dropped':
        return this.#dropped(event.id)
      case 'tick':
        return this.#tick(now)
      case 'stop':
        this.#isStopping = true
    }
  }

  #taken(messages: readonly SpooledMessage[]): void {
    this.#isTaking = false
    if (messages.length === 0) return
    this.#mayBeMore = true
    for (const message of messages) {
      this.#bytes += message.body.length
      this.#entries.push({ message, state: 'waiting', isSuspect: false, attempts: 0, settlement: null })
    }
  }

  #lost({ code, reason, isByPeer }: Extract<ForwarderEvent, { type: 'lost' }>): void {
    const said = reason === '' ? '' : ` ${JSON.stringify(reason)}`
    this.#line = 'ended'
    this.#end = { code, isByPeer, why: `the upstream closed the connection with code ${code}${said}` }
  }

  #done(entry: Entry, settlement: Settlement): void {
    if (entry.state !== 'sent' && entry.state !== 'waiting') return
    if (entry.state === 'sent') this.#inFlight--
    entry.settlement = settlement
    this.#close(entry)
  }

  #close(entry: Entry): void {
    if (entry.state === 'done') return
    entry.state = 'done'
    this.#bytes -= entry.message.body.length
  }

  #failed({ entry, wasWritten, unsendable }: SendFailure): void {
    if (entry.state !== 'sent') return
    this.#inFlight--
    entry.state = 'waiting'
    this.#cursor = 0
    if (unsendable !== null) return this.#park(entry, unsendable)
    // It hands back what it has only where it is closed, or gives up, which it says itself.
    if (this.#line === 'open') this.#line = 'ended'
    if (wasWritten) this.#handedBack.push(entry)
  }

  #park(entry: Entry, reason: string): void {
    entry.state = 'parking'
    entry.settlement = { state: 'parked', reason }
    this.#effects.push({ type: 'park', entry, reason })
  }

  /** By an operator, and settled by the spool already. What is being sent goes its way. */
  #dropped(id: string): void {
    const entry = this.#entries.find(({ message, state }) => message.id === id && state === 'waiting')
    if (entry !== undefined) this.#close(entry)
  }

  // --- What follows ---------------------------------------------------------------------------------------------

  #proceed(now: number): void {
    if (this.#line === 'refused' && this.#inFlight === 0) this.#judge()
    if (this.#line === 'open') this.#send(now)
    else if (this.#line === 'idle') this.#dial(now)
    this.#settle()
    this.#take()
    this.#watch()
    if (this.#isStopping && !this.#isStopped && this.#inFlight === 0 && !this.#isParking) {
      this.#isStopped = true
      this.#effects.push({ type: 'stopped' })
    }
  }

  get #isParking(): boolean {
    return this.#isStopping && this.#entries.some(({ state }) => state === 'parking')
  }

  /** All that the client had is back: was it one of them that the connection ended by? */
  #judge(): void {
    const end = this.#end
    const written = this.#handedBack
    this.#end = null
    this.#handedBack = []
    const isPoisoned = end?.isByPeer === true && isPoison(end.code) && written.length > 0
    if (isPoisoned) this.#suspect(written, end.why)
    else if (end === null || end.code === POLICY_VIOLATION) return this.#rest()
    this.#line = 'idle'
  }

  #rest(): void {
    this.#line = 'resting'
    if (!this.#isStopping) this.#effects.push({ type: 'rest', ms: this.#limits.rest, why: this.#refusal })
  }

  #suspect(written: readonly Entry[], why: string): void {
    for (const entry of written) entry.isSuspect = true
    const [only] = written
    if (only === undefined || written.length > 1)
      return void this.#effects.push({ type: 'suspected', count: written.length, why })
    only.attempts++
    if (only.attempts >= this.#limits.maxAttempts)
      this.#park(only, `${why} each of the ${only.attempts} times that it was sent by itself`)
  }

  /** Also where nothing waits: whoever comes next does not wait for a handshake, and it shows early what is wrong. */
  #dial(now: number): void {
    if (this.#isStopping) return
    this.#outdate(now)
    this.#line = 'dialling'
    this.#effects.push({ type: 'connect' })
  }

  #send(now: number): void {
    if (this.#isStopping) return
    if (this.#inFlight === 0) this.#isAlone = false
    if (this.#isAlone) return
    const batch: Entry[] = []
    for (; this.#cursor < this.#entries.length; this.#cursor++) {
      const entry = this.#entries[this.#cursor]
      if (entry?.state !== 'waiting' || this.#isOutdated(entry, now)) continue
      if (entry.isSuspect && this.#inFlight > 0) break
      this.#isAlone = entry.isSuspect
      this.#hand(entry, batch)
      if (!this.#isAlone) continue
      this.#cursor++
      break
    }
    if (batch.length > 0) this.#effects.push({ type: 'send', entries: batch })
  }

  #hand(entry: Entry, batch: Entry[]): void {
    entry.state = 'sent'
    this.#inFlight++
    batch.push(entry)
  }

  #tick(now: number): void {
    for (const entry of this.#entries)
      if (isUnparked(entry) && entry.settlement?.state === 'parked')
        this.#park(entry, entry.settlement.reason)
    this.#outdate(now)
  }

  #outdate(now: number): void {
    for (const entry of this.#entries) if (entry.state === 'waiting') this.#isOutdated(entry, now)
  }

  /** Settles what nobody wants any more, or nobody waits for. */
  #isOutdated(entry: Entry, now: number): boolean {
    const { expiresAt, acceptedAt } = entry.message
    if (expiresAt !== null && expiresAt <= now) {
      this.#done(entry, { state: 'expired' })
      return true
    }
    const { maxAge } = this.#limits
    if (acceptedAt + maxAge > now) return false
    this.#park(entry, `it could not be sent within ${Math.round(maxAge / 1_000)} s`)
    return true
  }

  #settle(): void {
    let count = 0
    while (this.#entries[count]?.state === 'done') count++
    if (count === 0) return
    const settled = this.#entries.slice(0, count).filter(({ settlement }) => settlement !== null)
    this.#entries = this.#entries.slice(count)
    this.#cursor = Math.max(0, this.#cursor - count)
    if (settled.length > 0) this.#effects.push({ type: 'settle', entries: settled })
  }

  /** Not for the room of a single message: it costs a call each time. */
  #take(): void {
    const { window } = this.#limits
    const count = window.count - this.#entries.length
    const bytes = window.bytes - this.#bytes
    const isEmpty = this.#entries.length === 0
    const isWorthIt = isEmpty || (count >= window.count / 4 && bytes >= window.bytes / 4)
    if (this.#isTaking || this.#isStopping || !this.#mayBeMore || !isWorthIt) return
    this.#isTaking = true
    this.#mayBeMore = false
    this.#effects.push({ type: 'take', count, bytes: Math.max(1, bytes) })
  }

  #watch(): void {
    const isWaiting = this.#entries.length > this.#inFlight
    const isOn = isWaiting && !this.#isStopping && (this.#line !== 'open' || this.#entries.some(isUnparked))
    if (isOn === this.#isWatching) return
    this.#isWatching = isOn
    this.#effects.push({ type: 'watch', isOn })
  }
}

const isUnparked = ({ state }: Entry): boolean => state === 'unparked'
