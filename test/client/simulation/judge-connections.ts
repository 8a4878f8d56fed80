// Judges sockets: when one is dialled, how many there are, why one is ended, and whether a dead one is found.

import type { ConnectionEnd } from '../../../src/client/connection-end.js'
import type { FakeLink } from './fake-link.js'
import type { PlanOptions } from './plan.js'
import type { Records } from './records.js'
import type { Verdicts } from './verdicts.js'
import type { VirtualLoop } from './virtual-loop.js'

const FAILURES = ['FORKSAFE_ERR_CLIENT_CONNECT_FAILED', 'FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT']
/** ms that turns of the event loop may take. */
const SLACK = 5
/** Who slept is given that much to hear what came meanwhile. */
const AFTER_SLEEP = 1_000

export class ConnectionJudge {
  readonly #options: PlanOptions
  readonly #records: Records
  readonly #loop: VirtualLoop
  readonly #verdicts: Verdicts
  #notBefore = Number.NEGATIVE_INFINITY
  readonly #told = new Set<number>()

  constructor(options: PlanOptions, records: Records, loop: VirtualLoop, verdicts: Verdicts) {
    this.#options = options
    this.#records = records
    this.#loop = loop
    this.#verdicts = verdicts
  }

  dialled(link: FakeLink): void {
    const { links, isSuspended, isClosed, isRefused, isWanted, closingSince } = this.#records
    const { epoch } = link
    const other = links.find((one) => one !== link && !one.isGone)
    this.#expect('one socket at a time', other === undefined, () => `dialled ${epoch} beside ${other?.epoch}`)
    this.#expect(
      'one socket at a time',
      epoch === links.length,
      () => `attempt ${epoch} is the ${links.length}th`,
    )
    const { now } = this.#loop
    this.#expect(
      'no dial before its time',
      now >= this.#notBefore,
      () => `dialled ${epoch} ${this.#notBefore - now} ms before it was due`,
    )
    this.#expect(
      'no dial while it is suspended or closed',
      !isSuspended && !isClosed && (closingSince === null || closingSince === now),
      () => `dialled ${epoch}`,
    )
    this.#expect('no dial after a refusal until somebody asks', !isRefused, () => `dialled ${epoch}`)
    this.#expect(
      'a cancelled attempt never opens',
      isWanted,
      () => `dialled ${epoch}, which nobody waits for`,
    )
  }

  /** The user was told. */
  opened(epoch: number): void {
    const link = this.#records.links[epoch - 1]
    const isTrue = link?.openedAt !== undefined && link.openedAt !== null && !this.#told.has(epoch)
    this.#told.add(epoch)
    this.#expect('states follow one another', isTrue, () => `told that ${epoch} is open`)
    this.#expect('a cancelled attempt never opens', this.#records.isWanted, () => `${epoch} has opened`)
  }

  /** connect() has settled. */
  connectSettled(code: string | null): void {
    const { links, aborts, isClosing, isRefused, refusedAt } = this.#records
    const { now } = this.#loop
    const isTrue =
      code === null
        ? links.some(({ openedAt, goneAt }) => openedAt !== null && (goneAt === null || goneAt === now))
        : code === 'FORKSAFE_ERR_CLIENT_ABORTED'
          ? aborts > 0
          : code === 'FORKSAFE_ERR_CLIENT_CLOSED'
            ? isClosing
            : FAILURES.includes(code)
              ? links.some(({ goneAt, openedAt }) => goneAt === now && openedAt === null)
              : isRefused || refusedAt === now
    this.#expect('connect() tells the truth', isTrue, () => `connect(): ${code ?? 'open'}`)
  }

  /** The user was told. */
  waits(delay: number): void {
    this.#notBefore = Math.max(this.#notBefore, this.#loop.now + delay)
  }

  terminated(link: FakeLink, why: string | null): void {
    const { isClosing, suspendedLinks, aborts, isProved } = this.#records
    if (isClosing || suspendedLinks.has(link) || link.isClosedByPeer) return
    if (why === null) {
      const isCancelled = link.openedAt === null && aborts > 0
      this.#expect(
        'no socket is ended without a reason',
        isCancelled,
        () => `destroyed ${link.epoch}, which nobody asked for`,
      )
      return
    }
    const { receipts, heartbeatTimeout, receiptTimeout } = this.#options
    const { now } = this.#loop
    const unanswered = link.frames.find(({ kind, index }) => kind === 'ping' && index > link.answeredUpTo)
    const owedFor = unanswered === undefined ? 0 : now - unanswered.givenAt
    const isSilent = owedFor >= heartbeatTimeout && now - link.arrivedAt >= heartbeatTimeout
    const isUnproved = owedFor >= receiptTimeout
    const unflushed = link.frames.find(({ kind, isFlushed }) => kind === 'data' && !isFlushed)
    const isStuck =
      // What the kernel has taken a moment ago nobody has been told yet.
      (link.untaken !== undefined || now - link.takenAt <= link.temperament.flushTakes) &&
      unflushed !== undefined &&
      now - Math.max(link.flushedAt, unflushed.givenAt) >= receiptTimeout
    const isUnfit = receipts === 'require' && !isProved && owedFor >= heartbeatTimeout
    this.#expect(
      'a peer that answers is not taken for dead',
      isSilent || isUnproved || isStuck || isUnfit,
      () =>
        `destroyed ${link.epoch} (${why}); a ping was unanswered for ${owedFor} ms, heard ${now - link.arrivedAt} ms ago`,
    )
  }

  gone(link: FakeLink, end: ConnectionEnd): void {
    const { isClosing, suspendedLinks } = this.#records
    const { backoff, supersededCodes } = this.#options
    if (isClosing || suspendedLinks.has(link) || link.isCancelled) return
    const asked = Math.min(end.retryAfter ?? 0, backoff.max)
    this.#notBefore = Math.max(this.#notBefore, this.#loop.now + Math.max(backoff.min, asked))
    if (link.isToldToGo) return
    if (end.isFatal || supersededCodes.includes(end.code)) this.refused()
  }

  /** By the network, or told to the user. */
  refused(isAskedAgain = false): void {
    this.#records.refusedAt = this.#loop.now
    if (isAskedAgain) return
    this.#records.isRefused = true
    this.#records.isWanted = false
  }

  /** To be asked after each turn. */
  turnIsOver(state: string): void {
    const { link, isProved, isDegraded, isClosing, isWanted } = this.#records
    if (link === undefined || isClosing) return
    if (!isWanted && link.openedAt === null && link.closedAt === null && !link.isTerminated)
      this.#verdicts.violation(
        'a cancelled attempt never opens',
        `${link.epoch} goes on, and nobody waits for it`,
      )
    const { heartbeatInterval, heartbeatTimeout, receiptTimeout } = this.#options
    if (
      state !== 'open' ||
      link.openedAt === null ||
      link.isPaused ||
      heartbeatInterval === 0 ||
      !isProved ||
      isDegraded
    )
      return
    const sign = Math.max(link.readAt, link.flushedAt, link.resumedAt, this.#loop.wokenAt + AFTER_SLEEP)
    const silence = this.#loop.now - sign
    // An answer that our own consumer kept us from reading is waited for before silence counts.
    const bound = heartbeatInterval + heartbeatTimeout + (link.resumedAt > 0 ? receiptTimeout : 0)
    this.#expect(
      'a dead connection is found',
      silence <= bound + SLACK || link.hasUnread || link.isTerminated,
      () => `${link.epoch} is silent for ${silence} ms`,
    )
  }

  #expect(rule: Parameters<Verdicts['violation']>[0], isKept: boolean, what: () => string): void {
    if (!isKept) this.#verdicts.violation(rule, what())
  }
}
