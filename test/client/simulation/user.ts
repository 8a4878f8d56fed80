// The program that uses the client: does what the schedule says, from the main program or from inside a listener, and
// takes down what it is told.

import type { GuardedClient } from '../../../src/client/guarded-client.js'
import type { SendOptions } from '../../../src/client/send-options.js'
import type { Resource } from '../../../src/shared/resources.js'
import { BIG_TEXT } from './fake-peer.js'
import type { PlanOptions, SendStep, UserStep } from './plan.js'
import type { Consumer, OpenCall, OpenConnect, Records, SentMessage } from './records.js'
import type { Verdicts } from './verdicts.js'
import type { VirtualLoop } from './virtual-loop.js'

/** What the user tells the judge of promises that settle. */
export interface UserObserver {
  messageSettled(message: SentMessage): void
  connectSettled(code: string | null): void
  consumed(consumer: Consumer, data: string | Buffer, epoch: number): void
}

export interface UserWorld {
  client: GuardedClient
  resource: Resource
  options: PlanOptions
  loop: VirtualLoop
  records: Records
  verdicts: Verdicts
  observer: UserObserver
}

const shared = new ArrayBuffer(512 * 1024)
/** Larger ones are bytes, so that nothing has to be copied or counted. */
const LONGEST_TEXT = 64
const SLOW = 40

export const acknowledgementOf = (number: number): string => `ack m${number}`

export class User {
  readonly #client: GuardedClient
  readonly #resource: Resource
  readonly #options: PlanOptions
  readonly #loop: VirtualLoop
  readonly #records: Records
  readonly #verdicts: Verdicts
  readonly #observer: UserObserver
  readonly #controllers: { abort(): void }[] = []

  constructor({ client, resource, options, loop, records, verdicts, observer }: UserWorld) {
    this.#client = client
    this.#resource = resource
    this.#options = options
    this.#loop = loop
    this.#records = records
    this.#verdicts = verdicts
    this.#observer = observer
  }

  act(step: UserStep): void {
    const { do: deed, ...more } = step
    this.#verdicts.tell(() => `user: ${deed} ${JSON.stringify(more)}`)
    try {
      this.#act(step)
    } catch (error) {
      this.#verdicts.violation('the client does not fail by itself', `${deed}: ${(error as Error).stack}`)
    }
  }

  #act(step: UserStep): void {
    switch (step.do) {
      case 'send':
        return this.#send(step)
      case 'connect':
        return this.#connect(step.isAbortable)
      case 'abort':
        return this.#controllers[step.which % Math.max(1, this.#controllers.length)]?.abort()
      case 'consume':
        return this.#consume(step)
      case 'drain':
        return this.#await('drain()', this.#client.drain({ timeout: step.timeout }), step.timeout)
      case 'suspend':
        return this.#suspend(step.timeout)
      case 'resume':
        this.#records.isSuspended = false
        return this.#resource.resume()
      case 'close':
        return this.#close('close()', () => this.#client.close(), null)
      case 'terminate':
        return this.#close('terminate()', () => this.#client.terminate(), 0)
      case 'shutDown': {
        const { timeout } = step
        return this.#close('shutDown()', () => this.#resource.shutDown({ timeout }), timeout)
      }
    }
  }

  // --- Sending --------------------------------------------------------------------------------------------------

  #send(asked: SendStep): void {
    const message = this.#note(asked)
    const controller = asked.isAbortable ? new AbortController() : null
    const settle = (outcome: Omit<NonNullable<SentMessage['outcome']>, 'at'>): void => {
      message.outcome = { at: this.#loop.now, ...outcome }
      this.#records.unsettled.delete(message)
      if (outcome.receipt !== null) this.#records.confirmed++
      this.#verdicts.tell(() => `m${message.number}: ${outcome.code ?? JSON.stringify(outcome.receipt)}`)
      this.#observer.messageSettled(message)
    }
    const isHopeless = asked.level === 'received' && this.#options.receipts === 'off'
    if (!message.wasRefused && !this.#records.isClosing && message.hadRoom && !isHopeless)
      this.#records.want()
    this.#client.send(message.data, this.#optionsOf(asked, message, controller)).then(
      (receipt) => settle({ receipt, code: null }),
      (error: unknown) => settle({ receipt: null, code: codeOf(error) }),
    )
    if (controller === null) return
    this.#controllers.push({
      abort: () => {
        this.#records.aborts++
        if (message.outcome === null) message.isAborted = true
        controller.abort()
      },
    })
  }

  #note(asked: SendStep): SentMessage {
    const number = this.#records.messages.length
    const data =
      asked.bytes <= LONGEST_TEXT
        ? `m${number}`.padEnd(asked.bytes)
        : new Uint8Array(shared, 0, Math.min(asked.bytes, shared.byteLength))
    const stats = this.#client.stats()
    const { maxPending } = this.#options
    const bytes = typeof data === 'string' ? data.length : data.byteLength
    const message: SentMessage = {
      ...{ number, data, asked, bytes, calledAt: this.#loop.now },
      expiresAt: asked.expiresIn === null ? null : this.#loop.now + asked.expiresIn,
      wasRefused: this.#records.isRefused,
      hadRoom:
        stats.waitingForRoom === 0 &&
        stats.pending < maxPending.count &&
        stats.pendingBytes + bytes <= maxPending.bytes,
      ...{ given: [], isAborted: false, isAcknowledged: false, outcome: null },
    }
    this.#records.messages.push(message)
    this.#records.byData.set(data, message)
    this.#records.unsettled.add(message)
    return message
  }

  #optionsOf(asked: SendStep, { number }: SentMessage, controller: AbortController | null): SendOptions {
    const { level, timeout, expiresIn, whenFull, acknowledged } = asked
    const isTest = level === 'processed' && acknowledged === 'by test'
    return {
      ...(level === null ? {} : { level }),
      ...(timeout === null ? {} : { timeout }),
      ...(expiresIn === null ? {} : { expiresAt: wallOf(this.#loop.now) + expiresIn }),
      ...(whenFull === null ? {} : { whenFull }),
      ...(controller === null ? {} : { signal: controller.signal }),
      ...(isTest ? { isAck: (data) => data === acknowledgementOf(number) } : { id: `m${number}` }),
    }
  }

  // --- Connecting and ending ------------------------------------------------------------------------------------

  #connect(isAbortable: boolean): void {
    const records = this.#records
    const controller = isAbortable ? new AbortController() : null
    if (!records.isClosing) {
      records.want()
      records.isRefused = false
    }
    const call: OpenConnect = { what: 'connect()', dueAt: null, controller }
    records.openCalls.add(call)
    records.openConnects.add(call)
    const settle = (code: string | null): void => {
      records.openCalls.delete(call)
      records.openConnects.delete(call)
      this.#verdicts.tell(() => `connect(): ${code ?? 'open'}`)
      this.#observer.connectSettled(code)
    }
    this.#client.connect(controller === null ? {} : { signal: controller.signal }).then(
      () => settle(null),
      (error: unknown) => settle(codeOf(error)),
    )
    if (controller === null) return
    this.#controllers.push({
      abort: () => {
        records.aborts++
        records.openConnects.delete(call)
        records.isPerhapsGivenBack = true
        const isLast = records.openCalls.has(call) && records.openConnects.size === 0
        const isNeeded = records.unsettled.size > 0 || records.consumers.some((one) => !one.hasLeft)
        // If the attempt has failed in this very turn, the call is answered already.
        const isAnswered = records.links.at(-1)?.goneAt === this.#loop.now
        const isKept = this.#client.state === 'open' || (records.isSuspended && records.wasOpen)
        if (isLast && !isNeeded && !isAnswered && !isKept) records.isWanted = false
        controller.abort()
      },
    })
  }

  #suspend(timeout: number): void {
    const records = this.#records
    const { link } = records
    if (!records.isClosing && !records.isSuspended) {
      records.isSuspended = true
      records.wasOpen = this.#client.state === 'open'
    }
    if (link !== undefined) {
      const before = records.suspendedLinks.get(link) ?? Number.POSITIVE_INFINITY
      records.suspendedLinks.set(link, Math.min(before, this.#loop.now + timeout))
    }
    this.#await('suspend()', this.#resource.suspend({ timeout }), null, () => {
      if (records.link !== undefined && records.link === link)
        this.#verdicts.violation('connect() tells the truth', 'suspend() settled and the socket is there')
    })
  }

  #close(what: string, close: () => Promise<void>, timeout: number | null): void {
    const records = this.#records
    const { drainTimeout, closeTimeout } = this.#options
    records.closingSince ??= this.#loop.now
    records.closedBy = Math.min(records.closedBy, this.#loop.now + (timeout ?? drainTimeout + closeTimeout))
    this.#await(what, close(), null, () => {
      if (records.link !== undefined || !records.isClosed || this.#client.state !== 'closed')
        this.#verdicts.violation('connect() tells the truth', `${what} settled before it was closed`)
    })
  }

  #await(what: string, promise: Promise<unknown>, timeout: number | null, then?: () => void): void {
    const call: OpenCall = { what, dueAt: timeout === null ? null : this.#loop.now + timeout }
    this.#records.openCalls.add(call)
    promise.then(
      (result) => {
        this.#records.openCalls.delete(call)
        this.#verdicts.tell(() => `${what}: settled ${JSON.stringify(result) ?? ''}`)
        then?.()
      },
      (error: unknown) => {
        this.#records.openCalls.delete(call)
        this.#verdicts.violation('a rejection has its reason', `${what} rejected: ${codeOf(error)}`)
      },
    )
  }

  // --- Reading --------------------------------------------------------------------------------------------------

  #consume({ pace, leavesAfter }: Extract<UserStep, { do: 'consume' }>): void {
    const records = this.#records
    if (records.isClosing) return
    const consumer: Consumer = {
      from: records.incoming.length,
      taken: 0,
      hasLeft: false,
      isWaiting: false,
      isDone: false,
    }
    records.want()
    records.isRefused = false
    const stream = this.#client.messages()
    records.consumers.push(consumer)
    const leave = (): void => {
      consumer.hasLeft = true
      void stream.return?.()
    }
    const takeNext = (): void => {
      consumer.isWaiting = true
      stream.next().then(({ done, value }) => {
        consumer.isWaiting = false
        if (done) {
          consumer.isDone = true
          return
        }
        this.#observer.consumed(consumer, value.data, value.epoch)
        consumer.taken++
        if (leavesAfter !== null && consumer.taken >= leavesAfter) leave()
        else if (pace === 'slow') void this.#loop.setTimer(SLOW, takeNext)
        else takeNext()
      }, this.#failed)
    }
    if (pace !== 'never') takeNext()
    else if (leavesAfter !== null) this.#loop.setTimer(leavesAfter * SLOW, leave)
  }

  readonly #failed = (error: unknown): void =>
    this.#verdicts.violation('the client does not fail by itself', `messages(): ${codeOf(error)}`)
}

/** The clock on the wall and the clock of the process do not begin together. */
export const wallOf = (now: number): number => now + 1_700_000_000_000

export const shown = (data: string | Buffer): string =>
  data === BIG_TEXT ? 'a big text' : JSON.stringify(data.toString('utf8'))

const codeOf = (error: unknown): string => {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : String((error as Error).stack ?? error)
}
