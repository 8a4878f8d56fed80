// A resource under the same rules as a guarded client, with the same states: opened once however many ask, closed before
// the process forks or drains, opened again afterwards, closed for good at the end; everything bounded.
// One opening is opening.ts; one resource per name is protect.ts. A lost connection is the affair of the resource itself:
// a pool or a driver knows best how to come back.

import { EventEmitter } from 'node:events'
import { show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError, messageOf } from '../shared/errors.js'
import { type ClientReport, type Resource, registerResource, resourceChanged } from '../shared/resources.js'
import { transition } from '../shared/state-machine.js'
import { CLIENT_LIFECYCLE, type ClientState } from './client-states.js'
import { Departures } from './departures.js'
import { Opening } from './opening.js'
import { type ParsedProtectOptions, type ProtectOptions, parseProtectOptions } from './protect-options.js'
import { Waiters } from './waiters.js'

export interface GetOptions {
  /** Aborting rejects this call; the opening is cancelled when nobody waits for it any more. */
  signal?: AbortSignal
}

export interface ProtectEvents {
  stateChanged: [{ from: ClientState; to: ClientState; reason: string }]
  /** `epoch` counts the openings that were begun. */
  opened: [{ epoch: number }]
  /** It will be tried again by the next `get()`. */
  openFailed: [{ epoch: number; error: ForksafeError }]
  /** `drain` or `close` failed, or took too long; it counts as closed all the same. */
  closeFailed: [{ error: ForksafeError }]
  closed: []
}

export class ProtectedResource<Value> extends EventEmitter<ProtectEvents> implements AsyncDisposable {
  readonly name: string
  readonly #options: ParsedProtectOptions<Value>
  readonly #unregister: () => void
  readonly #resource: Resource
  readonly #callers = new Waiters<Value>()
  readonly #departures: Departures<Value>
  readonly #closed: Promise<void>
  #tellClosed: () => void = () => {}
  #state: ClientState = 'idle'
  #held: { value: Value } | null = null
  #opening: Opening<Value> | null = null
  /** Whether a suspension has closed it, so that it is opened again whoever waits for it. */
  #isKept = false
  #epoch = 0
  #opens = 0

  /** Use `protect()`: it keeps a name one resource. */
  constructor(name: string, options: ProtectOptions<Value>) {
    super()
    this.name = name
    this.#options = parseProtectOptions(name, options)
    this.#departures = new Departures(this.#options, (why, ...cause) => this.#closeFailed(why, ...cause))
    this.#closed = new Promise((resolve) => {
      this.#tellClosed = resolve
    })
    this.#resource = this.#asResource()
    this.#unregister = registerResource(this.#resource)
  }

  get state(): ClientState {
    return this.#state
  }

  /**
   * The open resource. The first call opens it, all callers share that opening; while a fork window is open they wait for
   * its end.
   *
   * Ask for it each time, and do not keep what it returns: after a fork window it is another one.
   *
   * @throws FORKSAFE_ERR_RESOURCE_OPEN_FAILED, _OPEN_TIMEOUT (retryable), with what `open` threw as `cause`: the next
   *   call tries anew.
   * @throws FORKSAFE_ERR_RESOURCE_ABORTED, FORKSAFE_ERR_RESOURCE_CLOSED.
   */
  async get({ signal }: GetOptions = {}): Promise<Value> {
    if (!this.#isTaking) throw this.#error('FORKSAFE_ERR_RESOURCE_CLOSED', `get(): it is ${this.#state}`)
    if (signal?.aborted) throw this.#aborted()
    if (this.#held !== null && this.#state === 'open') return this.#held.value
    const opened = this.#callers.wait(signal, () => {
      if (this.#callers.size === 0) this.#nobodyWaits()
      return this.#aborted()
    })
    if (this.#state === 'idle') this.#open('asked for')
    return opened
  }

  /**
   * Hands out nothing more, runs `drain` (`drainTimeout`), then `close` (`closeTimeout`). Final, frees the name, and never
   * rejects: what went wrong is told by `closeFailed`. A second call returns the same promise.
   */
  close(): Promise<void> {
    return this.#closeWithin(this.#options.drainTimeout, this.#options.closeTimeout)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #isTaking(): boolean {
    return this.#state !== 'draining' && this.#state !== 'closing' && this.#state !== 'closed'
  }

  // --- Opening --------------------------------------------------------------------------------------------------

  #open(reason: string): void {
    const epoch = ++this.#epoch
    const { open, openTimeout, closeTimeout } = this.#options
    this.#moveTo('connecting', reason)
    this.#opening = new Opening({
      owner: { name: this.name, epoch },
      open,
      timeout: openTimeout,
      after: this.#departures.closed(),
      opened: (value) => this.#opened(epoch, value),
      failed: (cause) => {
        const why = `open() failed: ${messageOf(cause)}`
        this.#openFailed(epoch, this.#error('FORKSAFE_ERR_RESOURCE_OPEN_FAILED', why, cause))
      },
      overdue: () => {
        const why = `it was not open within ${openTimeout} ms`
        this.#openFailed(epoch, this.#error('FORKSAFE_ERR_RESOURCE_OPEN_TIMEOUT', why))
      },
      late: (value) => this.#departures.release(value, { drainTimeout: null, closeTimeout }),
    })
  }

  #opened(epoch: number, value: Value): void {
    this.#opening = null
    this.#isKept = false
    this.#held = { value }
    this.#opens++
    this.#moveTo('open', 'opened')
    this.#tell(() => this.emit('opened', { epoch }))
    this.#callers.resolveAll(value)
  }

  #openFailed(epoch: number, error: ForksafeError): void {
    this.#opening = null
    this.#isKept = false
    this.#moveTo('idle', error.message)
    this.#tell(() => this.emit('openFailed', { epoch, error }))
    this.#callers.rejectAll(error)
  }

  #nobodyWaits(): void {
    if (this.#state !== 'connecting' || this.#isKept) return
    this.#cancelOpening('nobody waits for it any more')
    this.#moveTo('idle', 'nobody waits for it any more')
  }

  #cancelOpening(why: string): void {
    if (this.#opening === null) return
    this.#opening.cancel(this.#error('FORKSAFE_ERR_RESOURCE_ABORTED', why))
    this.#departures.expect(this.#opening)
    this.#opening = null
  }

  // --- Closing --------------------------------------------------------------------------------------------------

  #closeWithin(drainTimeout: number, closeTimeout: number): Promise<void> {
    if (this.#isTaking) void this.#end(drainTimeout, closeTimeout)
    return this.#closed
  }

  async #end(drainTimeout: number, closeTimeout: number): Promise<void> {
    const held = this.#held
    this.#held = null
    this.#isKept = false
    this.#cancelOpening('it is being closed')
    const toClosing = (): void => {
      if (this.#isTaking || this.#state === 'draining') this.#moveTo('closing', 'close')
    }
    if (held !== null) {
      if (this.#options.drain !== undefined) this.#moveTo('draining', 'close')
      const gone = this.#departures.release(held.value, { drainTimeout, closeTimeout }, toClosing)
      this.#rejectCallers()
      await gone
    }
    this.#rejectCallers()
    if (this.#departures.areUnderWay) {
      toClosing()
      await this.#departures.goneWithin(closeTimeout)
    }
    this.#finish('closed')
  }

  #finish(reason: string): void {
    if (this.#state === 'closed') return
    // The table knows no way from `connecting` or `open` to `closed`: something has to be closed on it.
    if (!CLIENT_LIFECYCLE[this.#state].includes('closed')) this.#moveTo('closing', reason)
    this.#moveTo('closed', reason)
    this.#unregister()
    this.#departures.giveUp()
    this.#tell(() => this.emit('closed'))
    this.#tellClosed()
  }

  #rejectCallers(): void {
    this.#callers.rejectAll(this.#error('FORKSAFE_ERR_RESOURCE_CLOSED', 'it was closed before it was open'))
  }

  // --- For the process that owns it -----------------------------------------------------------------------------

  #asResource(): Resource {
    return {
      name: this.name,
      isUsedByOthers: true,
      isWanted: () => this.#held !== null || this.#opening !== null || this.#isKept || this.#callers.size > 0,
      isOpen: () => this.#state === 'open',
      report: () => this.#report(),
      suspend: ({ timeout }) => this.#suspend(timeout),
      resume: () => this.#resume(),
      shutDown: ({ timeout }) => this.#shutDown(timeout),
      // What it is written by takes longer than the last moment of a process.
      closeSync: () => {},
    }
  }

  async #suspend(timeout: number): Promise<void> {
    const released = this.#isTaking && this.#state !== 'suspended' ? this.#letGo(timeout) : null
    await this.#departures.goneWithin(timeout)
    if (this.#departures.areUnderWay || (await released) === false)
      throw this.#error('FORKSAFE_ERR_RESOURCE_CLOSE_FAILED', `it was not closed within ${timeout} ms`)
  }

  /** null: there was nothing to be closed. */
  #letGo(timeout: number): Promise<boolean> | null {
    const held = this.#held
    if (held !== null) this.#isKept = true
    this.#held = null
    this.#moveTo('suspended', 'a fork window is open')
    this.#cancelOpening('a fork window is open')
    return held === null ? null : this.#departures.release(held.value, this.#shareOf(timeout))
  }

  #resume(): void {
    if (this.#state !== 'suspended') return
    if (this.#isKept || this.#callers.size > 0) this.#open('the fork window is over')
    else this.#moveTo('idle', 'the fork window is over')
  }

  async #shutDown(timeout: number): Promise<void> {
    const overdue = setTimeout(() => this.#finish('it was not closed in time'), timeout)
    const { drainTimeout, closeTimeout } = this.#shareOf(timeout)
    await this.#closeWithin(drainTimeout, closeTimeout)
    clearTimeout(overdue)
  }

  #shareOf(timeout: number): { drainTimeout: number; closeTimeout: number } {
    const { drainTimeout, closeTimeout } = this.#options
    return {
      drainTimeout: Math.min(drainTimeout, timeout / 2), // Closing needs the rest.
      closeTimeout: Math.min(closeTimeout, timeout),
    }
  }

  #report(): ClientReport {
    return {
      name: this.name,
      identity: this.name,
      state: this.#state,
      role: 'own',
      epoch: this.#epoch,
      pending: this.#callers.size,
      confirmed: 0,
      reconnects: Math.max(0, this.#opens - 1),
    }
  }

  #closeFailed(why: string, ...cause: [unknown?]): void {
    const said = cause.length === 0 ? why : `${why}: ${messageOf(cause[0])}`
    const error = this.#error('FORKSAFE_ERR_RESOURCE_CLOSE_FAILED', said, ...cause)
    this.#tell(() => this.emit('closeFailed', { error }))
  }

  #moveTo(to: ClientState, reason: string): void {
    const from = this.#state
    this.#state = transition('protected resource', CLIENT_LIFECYCLE, from, to, reason)
    this.#tell(() => this.emit('stateChanged', { from, to, reason }))
    resourceChanged(this.#resource)
  }

  /** In a turn of its own: what a listener calls back, or throws, must not happen in the middle of a decision. */
  #tell(announcement: () => unknown): void {
    queueMicrotask(() => void announcement())
  }

  #aborted(): ForksafeError {
    return this.#error('FORKSAFE_ERR_RESOURCE_ABORTED', 'get() was aborted')
  }

  #error(code: ErrorCode, why: string, ...cause: [unknown?]): ForksafeError {
    return new ForksafeError(code, `protected resource ${show(this.name)}: ${why}`, {
      details: { resource: this.name, state: this.#state },
      ...(cause.length === 0 ? {} : { cause: cause[0] }),
    })
  }
}
