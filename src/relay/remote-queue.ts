// What waits in this process to be accepted by the owner, of one client: one batch is on its way at a time, and what comes
// in meanwhile goes into the next, so order is kept and a batch grows with the load.

import type { DeskClient } from './desk-client.js'
import { BATCH_BYTES, BATCH_COUNT, DESK_PATHS, decodeOutcomes, encodeBatch } from './desk-wire.js'
import type { AppendOutcome, NewMessage } from './messages.js'
import { unavailable } from './refusals.js'

/** One `append`: answered when all of its messages are. */
interface Call {
  readonly messages: readonly NewMessage[]
  readonly outcomes: AppendOutcome[]
  /** On the monotonic clock. */
  readonly deadline: number
  readonly resolve: (outcomes: AppendOutcome[]) => void
}

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 200

export class RemoteQueue {
  readonly #desk: DeskClient
  readonly #path: string
  readonly #ownerTimeout: number
  /** In order; the first may be answered in part. */
  #calls: Call[] = []
  #isSending = false
  #isClosed = false
  #exchange: AbortController | null = null
  #retry: NodeJS.Timeout | null = null
  #overdue: NodeJS.Timeout | null = null
  #pause = 0

  constructor(client: string, desk: DeskClient, ownerTimeout: number) {
    this.#desk = desk
    this.#ownerTimeout = ownerTimeout
    this.#path = `${DESK_PATHS.append}?client=${encodeURIComponent(client)}`
  }

  append(messages: readonly NewMessage[]): Promise<AppendOutcome[]> {
    return new Promise((resolve) => {
      const deadline = performance.now() + this.#ownerTimeout
      this.#calls.push({ messages, outcomes: [], deadline, resolve })
      this.#watch()
      this.#sendSoon()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#refuse('the relay is stopping', () => true)
    this.#exchange?.abort()
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#overdue !== null) clearTimeout(this.#overdue)
  }

  /** At the end of the turn: what several requests bring in it goes together. */
  #sendSoon(): void {
    if (this.#isSending || this.#isClosed || this.#calls.length === 0) return
    this.#isSending = true
    setImmediate(() => void this.#send())
  }

  async #send(): Promise<void> {
    const batch = this.#nextBatch()
    if (batch.messages.length === 0 || this.#isClosed) {
      this.#isSending = false
      return
    }
    const outcomes = await this.#ask(batch.messages)
    if (this.#isClosed) return
    if (outcomes === null) {
      // The first time at once: the connection was an old one, or the next owner is there already.
      this.#retry = setTimeout(() => void this.#send(), this.#pause)
      this.#pause = Math.min(Math.max(FIRST_PAUSE, 2 * this.#pause), LONGEST_PAUSE)
      return
    }
    this.#pause = 0
    this.#answer(batch.parts, outcomes)
    this.#isSending = false
    this.#sendSoon()
  }

  #nextBatch(): { messages: NewMessage[]; parts: { call: Call; count: number }[] } {
    const messages: NewMessage[] = []
    const parts: { call: Call; count: number }[] = []
    let bytes = 0
    for (const call of this.#calls) {
      let count = 0
      for (let at = call.outcomes.length; at < call.messages.length; at++) {
        const message = call.messages[at]
        if (message === undefined) break
        const isFull = messages.length >= BATCH_COUNT || bytes + message.body.length > BATCH_BYTES
        if (isFull && messages.length > 0) break
        messages.push(message)
        bytes += message.body.length
        count++
      }
      if (count > 0) parts.push({ call, count })
      if (call.outcomes.length + count < call.messages.length) break
    }
    return { messages, parts }
  }

  /** Null: nobody answered, or an owner that leaves. */
  async #ask(messages: readonly NewMessage[]): Promise<AppendOutcome[] | null> {
    const exchange = new AbortController()
    this.#exchange = exchange
    try {
      const body = encodeBatch(messages)
      const { status, text } = await this.#desk.ask({ path: this.#path, body, signal: exchange.signal })
      return status === 200 ? decodeOutcomes(text, messages) : null
    } catch {
      return null
    } finally {
      this.#exchange = null
    }
  }

  #answer(parts: readonly { call: Call; count: number }[], outcomes: readonly AppendOutcome[]): void {
    let at = 0
    for (const { call, count } of parts) {
      call.outcomes.push(...outcomes.slice(at, at + count))
      at += count
      if (call.outcomes.length === call.messages.length) call.resolve(call.outcomes)
    }
    this.#calls = this.#calls.filter(({ outcomes: known, messages }) => known.length < messages.length)
  }

  /** One timer for all: calls fall due in their order. */
  #watch(): void {
    const [first] = this.#calls
    if (this.#overdue !== null || first === undefined || this.#isClosed) return
    const ms = Math.max(1, first.deadline - performance.now())
    this.#overdue = setTimeout(() => {
      this.#overdue = null
      this.#lapse()
      this.#watch()
    }, ms)
  }

  #lapse(): void {
    const now = performance.now()
    const isOverdue = ({ deadline }: Call): boolean => deadline <= now
    if (!this.#calls.some(isOverdue)) return
    this.#refuse('no process of the relay took it in time', isOverdue)
    // An owner that has not answered for so long is asked anew: it may be another one.
    this.#exchange?.abort()
  }

  #refuse(why: string, isMeant: (call: Call) => boolean): void {
    const refused = this.#calls.filter(isMeant)
    this.#calls = this.#calls.filter((call) => !refused.includes(call))
    for (const { messages, outcomes, resolve } of refused)
      resolve([...outcomes, ...messages.slice(outcomes.length).map(({ id }) => unavailable(id, why))])
  }
}
