// One opening of a protected resource: under a deadline, cancellable. It decides nothing: it reports `opened`,
// `failed` or `overdue` once, and none of them after it was cancelled; what is there too late it hands to `late`, so that
// nothing leaks.

import { outsideRequests, type SocketOwner } from '../shared/request-context.js'

export interface OpeningOptions<Value> {
  /** Whose are the sockets that it dials. */
  owner: SocketOwner
  open: (how: { signal: AbortSignal }) => Value | PromiseLike<Value>
  timeout: number
  /** What has to be gone before; the time for it is not counted. */
  after: Promise<unknown>
  opened(value: Value): void
  failed(error: unknown): void
  overdue(): void
  /** Closes what came after the deadline, or after it was cancelled. */
  late(value: Value): Promise<unknown>
}

export class Opening<Value> {
  /** Settles when `open` has settled and what it brought too late is closed: perhaps never. */
  readonly gone: Promise<void>
  readonly #options: OpeningOptions<Value>
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(options: OpeningOptions<Value>) {
    this.#options = options
    // Whatever an opening starts must not inherit the async context of who happened to ask.
    this.gone = outsideRequests(options.owner, () => this.#run())
  }

  /** Whatever comes of it now is closed. */
  cancel(reason: unknown): void {
    if (this.#end()) this.#controller.abort(reason)
  }

  async #run(): Promise<void> {
    const { open, timeout, after, opened, failed, overdue, late } = this.#options
    const { signal } = this.#controller
    // Also puts all that follows after the making of this object.
    await after
    if (signal.aborted) return
    this.#timer = setTimeout(() => {
      if (this.#end()) overdue()
      this.#controller.abort()
    }, timeout)
    let value: Value
    try {
      value = await open({ signal })
    } catch (error) {
      if (this.#end()) failed(error)
      return
    }
    if (this.#end()) opened(value)
    else await late(value)
  }

  /** True for the first who ends it. */
  #end(): boolean {
    const isFirst = !this.#isOver
    this.#isOver = true
    clearTimeout(this.#timer)
    return isFirst
  }
}
