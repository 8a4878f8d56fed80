// Judges messages: what is given to which connection, in which order, and whether what their senders are told is true.

import type { ErrorCode } from '../../../src/shared/errors.js'
import type { FakeLink } from './fake-link.js'
import type { InFrame, OutFrame } from './frames.js'
import type { PlanOptions } from './plan.js'
import type { Records, SentMessage } from './records.js'
import type { Rule, Verdicts } from './verdicts.js'
import type { VirtualLoop } from './virtual-loop.js'

/** Rejections that say: it was never written. */
const NEVER_SENT: readonly string[] = [
  'FORKSAFE_ERR_CLIENT_NOT_SENT',
  'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT',
  'FORKSAFE_ERR_CLIENT_EXPIRED',
  'FORKSAFE_ERR_CLIENT_ABORTED',
  'FORKSAFE_ERR_CLIENT_OUTBOX_FULL',
  'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE',
  'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED',
  'FORKSAFE_ERR_CLIENT_SUPERSEDED',
  'FORKSAFE_ERR_CLIENT_CLOSED',
] satisfies ErrorCode[]

export class MessageJudge {
  readonly #options: PlanOptions
  readonly #records: Records
  readonly #loop: VirtualLoop
  readonly #verdicts: Verdicts
  /** Number of the last message that each connection was given; and of the last that any was given first. */
  readonly #lastOn = new Map<FakeLink, number>()
  #lastFirst = -1
  /** Messages that were passed over, unless they turn out to be settled in the same turn. */
  #passedOver: SentMessage[] = []
  #goneLinks: FakeLink[] = []
  #lastGone: FakeLink | null = null

  constructor(options: PlanOptions, records: Records, loop: VirtualLoop, verdicts: Verdicts) {
    this.#options = options
    this.#records = records
    this.#loop = loop
    this.#verdicts = verdicts
  }

  // --- What goes out --------------------------------------------------------------------------------------------

  given(link: FakeLink, frame: OutFrame): void {
    if (frame.kind !== 'data') return
    const message = this.#records.byData.get(frame.data)
    if (message === undefined)
      return this.#verdicts.violation('nothing is sent twice', 'sent what nobody gave it')
    const name = `m${message.number}`
    const isOpen = link.openedAt !== null && !link.isToldToGo && !link.isGone
    this.#expect('no message on a socket that is not open', isOpen, () => `${name} on ${link.epoch}`)
    this.#expect('no message after our Close frame', link.closedAt === null, () => `${name} on ${link.epoch}`)
    this.#expect('nothing is sent after it was settled', message.outcome === null, () => name)
    const isExpired = message.expiresAt !== null && this.#loop.now > message.expiresAt
    this.#expect('nothing is sent after it has expired', !isExpired, () => name)
    const isAgain =
      message.given.length > 0 &&
      (this.#options.onUnconfirmed === 'reject' || message.given.at(-1)?.link === link)
    this.#expect('nothing is sent twice', !isAgain, () => `${name} on ${link.epoch}`)
    this.#judgeOrder(link, message)
    message.given.push({ link, frame })
  }

  #judgeOrder(link: FakeLink, message: SentMessage): void {
    const { number } = message
    const last = this.#lastOn.get(link) ?? -1
    this.#expect(
      'messages go out in order',
      number > last,
      () => `m${number} behind m${last} on ${link.epoch}`,
    )
    this.#lastOn.set(link, number)
    if (message.given.length === 0) {
      const lastFirst = this.#lastFirst
      this.#expect('messages go out in order', number > lastFirst, () => `m${number} behind m${lastFirst}`)
      this.#lastFirst = number
    }
    for (const earlier of this.#records.unsettled) {
      if (earlier.number >= number) break
      // What a connection had taken is not to be given to another where nothing is resent.
      const isPast = this.#options.onUnconfirmed === 'reject' && earlier.given.length > 0
      if (!isPast && earlier.given.at(-1)?.link !== link) this.#passedOver.push(earlier)
    }
  }

  gone(link: FakeLink): void {
    this.#goneLinks.push(link)
  }

  // --- What comes in --------------------------------------------------------------------------------------------

  delivers(link: FakeLink, frame: InFrame): void {
    if (frame.kind !== 'data') return
    this.#records.incoming.push({ data: frame.data, epoch: link.epoch })
    const [, number] = /^ack m(\d+)$/.exec(frame.data.length < 20 ? frame.data : '') ?? []
    const message = number === undefined ? undefined : this.#records.messages[Number(number)]
    if (message !== undefined && message.given.length > 0) message.isAcknowledged = true
  }

  // --- What senders are told ------------------------------------------------------------------------------------

  settled(message: SentMessage): void {
    const { outcome } = message
    if (outcome?.receipt) this.#judgeReceipt(message, outcome.receipt)
    if (outcome?.code) this.#judgeRejection(message, outcome.code)
  }

  #judgeReceipt(message: SentMessage, receipt: { level: string; epoch: number; rtt: number }): void {
    const { asked, given, calledAt } = message
    const { level, epoch } = receipt
    const place = given.find(({ link }) => link.epoch === epoch)
    const name = `m${message.number} (${asked.level ?? 'default'}) got ${JSON.stringify(receipt)}`
    this.#expect(
      'a receipt names level and connection',
      place !== undefined,
      () => `${name}, was given to others`,
    )
    const isEnough =
      level === 'processed'
        ? asked.level === 'processed'
        : level === 'received'
          ? asked.level !== 'processed'
          : asked.level === 'written' || (asked.level === null && this.#isWrittenEnough)
    this.#expect('a receipt names level and connection', isEnough, () => name)
    const rtt = this.#loop.now - calledAt
    this.#expect(
      'a receipt names level and connection',
      receipt.rtt === rtt,
      () => `${name}, and took ${rtt} ms`,
    )
    if (place === undefined) return
    const { link, frame } = place
    const isProved =
      level === 'processed'
        ? message.isAcknowledged
        : level === 'received'
          ? frame.isRead && frame.index < link.provedUpTo
          : frame.isTaken && frame.isFlushed
    this.#expect('a receipt has its proof', isProved, () => name)
  }

  /** Where nothing better can be had. */
  get #isWrittenEnough(): boolean {
    return this.#options.receipts === 'off' || this.#records.isDegraded
  }

  #judgeRejection(message: SentMessage, code: string): void {
    const name = `m${message.number} was rejected with ${code}`
    const isSent = message.given.length > 0
    if (NEVER_SENT.includes(code)) this.#expect('never sent means never sent', !isSent, () => name)
    else this.#expect('a fate is unknown only of what was sent', isSent, () => name)
    this.#expect('a rejection has its reason', this.#hasReason(message, code), () => name)
  }

  #hasReason(message: SentMessage, code: string): boolean {
    const { isClosing, isDegraded, refusedAt } = this.#records
    const { receipts } = this.#options
    const { asked, calledAt, expiresAt, isAborted, hadRoom } = message
    const { now } = this.#loop
    const isRefused = message.wasRefused || refusedAt === now
    const isLate = asked.timeout !== null && now >= calledAt + asked.timeout
    const isExpired = expiresAt !== null && now >= expiresAt
    const isHopeless = asked.level === 'received' && (receipts === 'off' || isDegraded)
    switch (code) {
      case 'FORKSAFE_ERR_CLIENT_NOT_SENT':
        return isClosing || isRefused
      case 'FORKSAFE_ERR_CLIENT_SEND_TIMEOUT':
        return isLate
      case 'FORKSAFE_ERR_CLIENT_EXPIRED':
        return isExpired
      case 'FORKSAFE_ERR_CLIENT_ABORTED':
        return isAborted
      case 'FORKSAFE_ERR_CLIENT_OUTBOX_FULL':
        return !hadRoom && (isLate || isExpired || !this.#mayWait(message))
      case 'FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE':
        return isHopeless || (isRefused && receipts === 'require')
      case 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED':
      case 'FORKSAFE_ERR_CLIENT_SUPERSEDED':
        return isRefused
      case 'FORKSAFE_ERR_CLIENT_CLOSED':
        return isClosing
      case 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN':
        return (
          isClosing || isRefused || isLate || isExpired || isAborted || isHopeless || this.#isLost(message)
        )
      default:
        return false
    }
  }

  #mayWait({ asked, bytes }: SentMessage): boolean {
    return (asked.whenFull ?? this.#options.whenFull) === 'wait' && bytes <= this.#options.maxPending.bytes
  }

  /** As long as a silent peer may be one that answers no pings, nobody is told what became of what it had taken. */
  #isInDoubt({ asked }: SentMessage, link: FakeLink, { isFlushed }: OutFrame): boolean {
    const { isProved, isDegraded } = this.#records
    const isUnknown = !isProved && !isDegraded && link === this.#lastGone
    return isUnknown && link.isTerminated && link.provedAt === 0 && isFlushed && asked.level === null
  }

  /** Whether what became of it cannot be known. */
  #isLost({ given, asked }: SentMessage): boolean {
    const last = given.at(-1)
    if (last === undefined) return false
    const { receiptTimeout, onUnconfirmed } = this.#options
    const { link, frame } = last
    if (onUnconfirmed === 'reject' && link.isGone) return true
    const isOverdue = this.#loop.now - frame.givenAt >= receiptTimeout
    const isUnread = link.resumedAt > 0 || link.isPaused
    return isOverdue && (asked.level === 'processed' || isUnread)
  }

  // --- After each turn ------------------------------------------------------------------------------------------

  turnIsOver(): void {
    for (const { number, outcome } of this.#passedOver)
      this.#expect('messages go out in order', outcome !== null, () => `m${number} was passed over`)
    this.#passedOver = []
    this.#lastGone = this.#goneLinks.at(-1) ?? this.#lastGone
    if (this.#options.onUnconfirmed === 'reject') {
      for (const message of this.#records.unsettled)
        this.#expect(
          'what a lost connection left is settled at once',
          message.given.every(({ link, frame }) => !link.isGone || this.#isInDoubt(message, link, frame)),
          () => `m${message.number} is not`,
        )
    }
    this.#goneLinks = []
  }

  /** What was given to a connection is settled, or the connection found broken, while there is no progress. */
  timeHasPassed(): void {
    const { receiptTimeout } = this.#options
    if (this.#loop.isAsleep) return
    for (const { number, given } of this.#records.unsettled) {
      const last = given.at(-1)
      if (last === undefined || last.link.isGone) continue
      const { link, frame } = last
      // Our own consumer may keep the answer from being read: then it is asked for once more.
      const bound = link.resumedAt > 0 || link.isPaused ? 2 * receiptTimeout : receiptTimeout
      const since = Math.max(frame.givenAt, link.provedAt, link.flushedAt, this.#loop.wokenAt + AFTER_SLEEP)
      this.#expect(
        'every promise settles in time',
        this.#loop.now - since <= bound + SLACK,
        () => `m${number} is on ${link.epoch} and unproved for ${this.#loop.now - since} ms`,
      )
    }
  }

  #expect(rule: Rule, isKept: boolean, what: () => string): void {
    if (!isKept) this.#verdicts.violation(rule, what())
  }
}

const SLACK = 10
const AFTER_SLEEP = 1_000
