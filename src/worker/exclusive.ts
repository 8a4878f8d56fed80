// exclusive(): work that one process does at a time. The lease is the same as a client's; what is protected is a function
// that is told when to stop.

import { checkName } from '../client/check-name.js'
import { show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'
import { type LeaseClaim, type LeaseOwner, leaseProvider } from '../shared/lease-provider.js'
import { type ClientReport, type Resource, registerResource, resourceChanged } from '../shared/resources.js'
import { settledWithin } from '../shared/settled-within.js'

export interface ExclusiveOptions {
  /** Default `machine`: one process of this user on this machine. */
  scope?: 'machine' | 'fleet'
  /** Aborting stops it, or takes it out of the line. */
  signal?: AbortSignal
}

export interface ExclusiveRun {
  /** Aborted when the lease is lost, when this process drains, and by the caller's own signal. */
  readonly signal: AbortSignal
  /** Larger than that of every run before, in whatever process. */
  readonly epoch: number
}

/**
 * Does `fn` in one process at a time: a scheduler, a consumer, whatever must not run twice.
 *
 * Each process that calls it stands in line. `fn` begins when this process is granted the lease, which it holds for as
 * long as `fn` runs: it has to end when its signal is aborted, and the next process is granted only when it has.
 *
 * @param name what is exclusive: 1 to 200 characters; clients have names of their own.
 * @returns what `fn` returns. The lease is given back when `fn` has settled.
 * @throws what `fn` throws.
 * @throws FORKSAFE_ERR_LEASE_ABORTED: the caller's signal, before `fn` had begun.
 * @throws FORKSAFE_ERR_LEASE_CLOSED: this process leaves, before `fn` had begun.
 * @throws FORKSAFE_ERR_LEASE_LOST: the lease was lost while `fn` ran; another process may run it by now. `fn` was told by
 *   its signal, and what it returned or threw is the `cause`.
 * @throws FORKSAFE_ERR_LEASE_OPTIONS: name or options are not allowed.
 */
export const exclusive = <Result>(
  name: string,
  fn: (run: ExclusiveRun) => Result | Promise<Result>,
  options: ExclusiveOptions = {},
): Promise<Result> => {
  checkName(name, 'name of exclusive work', 'FORKSAFE_ERR_LEASE_OPTIONS')
  checkOptions(name, fn, options)
  return new ExclusiveWork(name, fn, options.signal).result
}

const checkOptions = (name: string, fn: unknown, { scope, signal }: ExclusiveOptions): void => {
  const wrong = (why: string): ForksafeError =>
    new ForksafeError('FORKSAFE_ERR_LEASE_OPTIONS', `exclusive(${show(name)}): ${why}`, { details: { name } })
  if (typeof fn !== 'function')
    throw wrong(`${show(fn)} is not a function; write exclusive(name, async ({ signal }) => …)`)
  if (scope === 'fleet') throw wrong("scope 'fleet' is not there yet; 'machine' holds on one machine")
  if (scope !== undefined && scope !== 'machine') throw wrong(`scope ${show(scope)} is not 'machine'`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('signal is not an AbortSignal')
  if (isClaimed(name)) throw wrong('it stands in line, or runs, in this process already')
}

/** Under a registered symbol, so that two copies of the package share it. */
const KEY = Symbol.for('forksafe.exclusive.v1')

const claimed = (): Set<string> => {
  const holder = globalThis as { [KEY]?: Set<string> }
  holder[KEY] ??= new Set()
  return holder[KEY]
}

const isClaimed = (name: string): boolean => claimed().has(name)

type State = 'waiting' | 'running' | 'over'

class ExclusiveWork<Result> {
  readonly result: Promise<Result>
  readonly #name: string
  readonly #fn: (run: ExclusiveRun) => Result | Promise<Result>
  readonly #claim: LeaseClaim
  readonly #resource: Resource
  readonly #unregister: () => void
  readonly #stop = new AbortController()
  readonly #caller: AbortSignal | undefined
  readonly #over: Promise<void>
  #tellOver: () => void = () => {}
  #resolve: (result: Result) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  #state: State = 'waiting'
  #epoch = 0
  #owner: LeaseOwner | null = null
  #lostWhy: string | null = null

  constructor(
    name: string,
    fn: (run: ExclusiveRun) => Result | Promise<Result>,
    caller: AbortSignal | undefined,
  ) {
    this.#name = name
    this.#fn = fn
    this.#caller = caller
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#over = new Promise((resolve) => {
      this.#tellOver = resolve
    })
    claimed().add(name)
    this.#claim = this.#stand()
    this.#resource = this.#asResource()
    this.#unregister = registerResource(this.#resource)
    caller?.addEventListener('abort', this.#onAbort, { once: true })
    if (caller?.aborted) this.#onAbort()
  }

  #stand(): LeaseClaim {
    const provider = leaseProvider()
    if (provider === undefined)
      throw new ForksafeError(
        'FORKSAFE_ERR_CLIENT_NO_LEASE',
        `exclusive(${show(this.#name)}): no lease can be had here`,
      )
    const nothing = (): void => {}
    return provider.claim(
      { kind: 'task', identity: this.#name, name: this.#name, origin: null },
      {
        granted: (epoch) => this.#granted(epoch),
        revoked: (why) => this.#tellToStop(why),
        lost: (why) => this.#lost(why),
        standsBy: (owner) => {
          this.#owner = owner
          resourceChanged(this.#resource)
        },
        linkOpened: nothing,
        linkReceived: nothing,
        linkClosed: nothing,
        mayLeave: nothing,
        orphaned: nothing,
      },
    )
  }

  readonly #onAbort = (): void => {
    if (this.#state === 'running') this.#stop.abort(this.#caller?.reason)
    else
      this.#giveUp(
        'FORKSAFE_ERR_LEASE_ABORTED',
        'its signal was aborted before it had begun',
        this.#caller?.reason,
      )
  }

  /** It may be ours again after the primary was silent: work that was told to stop is not begun anew. */
  #granted(epoch: number): void {
    if (this.#state !== 'waiting') return
    this.#state = 'running'
    this.#epoch = epoch
    this.#claim.opened()
    resourceChanged(this.#resource)
    const run = async (): Promise<Result> => this.#fn({ signal: this.#stop.signal, epoch })
    run().then(
      (result) => this.#settled(() => this.#resolve(result), result),
      (error: unknown) => this.#settled(() => this.#reject(error), error),
    )
  }

  #settled(tell: () => void, cause: unknown): void {
    this.#end()
    const why = this.#lostWhy
    if (why === null) return void this.#claim.end().then(tell)
    void this.#claim.end()
    this.#reject(this.#error('FORKSAFE_ERR_LEASE_LOST', `the lease was lost while it ran: ${why}`, cause))
  }

  #tellToStop(why: string): void {
    this.#stop.abort(new Error(`exclusive(${show(this.#name)}): ${why}`))
  }

  /** Work cannot be destroyed as a socket can: its signal is all that it has. */
  #lost(why: string): void {
    this.#lostWhy ??= why
    this.#tellToStop(why)
  }

  #giveUp(
    code: 'FORKSAFE_ERR_LEASE_ABORTED' | 'FORKSAFE_ERR_LEASE_CLOSED',
    why: string,
    cause?: unknown,
  ): void {
    if (this.#state !== 'waiting') return
    this.#end()
    void this.#claim.end().then(() => this.#reject(this.#error(code, why, cause)))
  }

  #end(): void {
    this.#state = 'over'
    this.#caller?.removeEventListener('abort', this.#onAbort)
    claimed().delete(this.#name)
    this.#unregister()
    this.#tellOver()
  }

  #error(code: ErrorCode, why: string, cause?: unknown): ForksafeError {
    return new ForksafeError(code, `exclusive(${show(this.#name)}): ${why}`, {
      details: { name: this.#name },
      ...(cause === undefined ? {} : { cause }),
    })
  }

  // --- For the process that owns it -----------------------------------------------------------------------------

  #asResource(): Resource {
    return {
      name: this.#name,
      isWork: true,
      // It says nothing about whether this process can do its work.
      isWanted: () => false,
      isOpen: () => this.#state === 'running',
      report: () => this.#report(),
      // Work is no connection: a fork window does not touch it.
      suspend: async () => {},
      resume: () => {},
      shutDown: ({ timeout }) => this.#shutDown(timeout),
      closeSync: () => {},
    }
  }

  #report(): ClientReport {
    const isRunning = this.#state === 'running'
    return {
      kind: 'task',
      name: this.#name,
      identity: this.#name,
      state: isRunning ? 'running' : 'waiting',
      role: isRunning ? 'holder' : 'standby',
      epoch: isRunning ? this.#epoch : (this.#owner?.epoch ?? 0),
      ...{ pending: 0, confirmed: 0, reconnects: 0 },
      owner: isRunning ? null : this.#owner,
    }
  }

  async #shutDown(timeout: number): Promise<void> {
    this.#giveUp('FORKSAFE_ERR_LEASE_CLOSED', 'this process is leaving')
    this.#tellToStop('this process is leaving')
    if (!(await settledWithin(this.#over, timeout)))
      process.emitWarning(
        `exclusive(${show(this.#name)}) did not stop within ${timeout} ms of its signal; the lease is free when this process has ended`,
        { type: 'ForksafeWarning', code: 'FORKSAFE_WARN_LEASE' },
      )
    else await settledWithin(this.#claim.end(), timeout)
  }
}
