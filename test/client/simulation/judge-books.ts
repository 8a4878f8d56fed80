// Judges what a client says of itself against what its user has counted, and that everything has an end.

import type { ClientStats } from '../../../src/client/guarded-client.js'
import type { PlanOptions } from './plan.js'
import type { Records } from './records.js'
import type { Verdicts } from './verdicts.js'
import type { VirtualLoop } from './virtual-loop.js'

const SLACK = 10

export class BooksJudge {
  readonly #options: PlanOptions
  readonly #records: Records
  readonly #loop: VirtualLoop
  readonly #verdicts: Verdicts
  #state = 'idle'

  constructor(options: PlanOptions, records: Records, loop: VirtualLoop, verdicts: Verdicts) {
    this.#options = options
    this.#records = records
    this.#loop = loop
    this.#verdicts = verdicts
  }

  /** The user was told of an event. */
  event(name: string): void {
    if (this.#records.isClosed) this.#verdicts.violation('nothing happens after closed', `the event ${name}`)
    if (name === 'closed') this.#records.isClosed = true
  }

  moved(from: string, to: string): void {
    if (from !== this.#state)
      this.#verdicts.violation(
        'states follow one another',
        `from ${from} to ${to}, and it was ${this.#state}`,
      )
    this.#state = to
  }

  degraded(): void {
    const { links, link } = this.#records
    const answered = links.find(
      (one) => one.provedUpTo >= 0 || (one === link && !one.isPaused && one.answeredUpTo >= 0),
    )
    if (answered !== undefined)
      this.#verdicts.violation(
        'peers that answer pings are not degraded',
        `${answered.epoch} has answered one`,
      )
    this.#records.isDegraded = true
  }

  turnIsOver(stats: ClientStats, state: string, timersLeft: number): void {
    const { accepted, confirmed, rejected, pending, pendingBytes, waitingForRoom } = stats
    const records = this.#records
    const { maxPending } = this.#options
    const counted = () =>
      `${JSON.stringify(stats)}, counted ${records.confirmed} confirmed and ${records.unsettled.size} open`
    if (
      accepted !== confirmed + rejected + pending ||
      confirmed !== records.confirmed ||
      records.unsettled.size !== pending + waitingForRoom
    )
      this.#verdicts.violation('accepted = confirmed + rejected + pending', counted())
    if (pending > maxPending.count || pendingBytes > maxPending.bytes || pendingBytes < 0)
      this.#verdicts.violation('the outbox keeps to its bounds', counted())
    if (waitingForRoom === 0 && pending < 50) {
      let bytes = 0
      for (const message of records.unsettled) bytes += message.bytes
      if (bytes !== pendingBytes)
        this.#verdicts.violation('the outbox keeps to its bounds', `${counted()} of ${bytes} bytes`)
    }
    if (records.isClosed && timersLeft > 0)
      this.#verdicts.violation('no timer is left', `${timersLeft} when it is closed`)
    if (state !== this.#state)
      this.#verdicts.violation('states follow one another', `it is ${state}, and nobody was told`)
  }

  /** What should have settled by now. */
  timeHasPassed(): void {
    // Who slept begins again: a step that was due meanwhile is done only now, and the next one has its time from here.
    const { drainTimeout, closeTimeout } = this.#options
    const now = this.#loop.now - SLACK
    if (this.#loop.isAsleep || this.#loop.wokenAt + drainTimeout + closeTimeout > now) return
    const { openCalls, unsettled, closedBy, isClosed, suspendedLinks, link } = this.#records
    for (const { what, dueAt } of openCalls) if (dueAt !== null && dueAt < now) this.#late(what)
    if (closedBy < now && (!isClosed || openCalls.size > 0 || unsettled.size > 0))
      this.#late(`close() (${openCalls.size} calls, ${unsettled.size} messages)`)
    if (link !== undefined && (suspendedLinks.get(link) ?? now) < now) this.#late('suspend()')
    for (const { number, asked, calledAt, expiresAt, given } of unsettled) {
      if (asked.timeout !== null && calledAt + asked.timeout < now) this.#late(`send() of m${number}`)
      if (expiresAt !== null && Math.max(calledAt, expiresAt) < now && given.length === 0)
        this.#late(`send() of m${number}, which has expired,`)
    }
  }

  /** It was closed, and time has gone by. */
  isOver(): void {
    const { openCalls, unsettled, consumers, link } = this.#records
    for (const { what } of openCalls) this.#late(what)
    for (const { number } of unsettled) this.#late(`send() of m${number}`)
    for (const { isWaiting } of consumers) if (isWaiting) this.#late('messages()')
    if (link !== undefined)
      this.#verdicts.violation('nothing happens after closed', `socket ${link.epoch} is there`)
  }

  #late(what: string): void {
    this.#verdicts.violation('every promise settles in time', `${what} has not`)
  }
}
