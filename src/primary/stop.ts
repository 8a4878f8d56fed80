// The stop of everything, in two phases: for `shutdownDelay` what serves goes on serving, so that whoever sends traffic
// can hear that this instance leaves (readiness is false from the first moment on); then all workers drain.
// Pure, on the board. When a stop begins, and that nothing is started any more, is src/primary/supervisor-core.ts.

import { formatDuration } from '../shared/duration.js'
import type { OperationResult } from '../shared/progress.js'
import type { Board } from './board.js'

export interface StopOptions {
  reason: string
  /** Nothing is waited for, from the beginning. */
  isUrgent: boolean
  /** How many workers had been killed before, by a reload for example: none of the stop's doing. */
  killedBefore: number
  /** What the process shall end with if the stop itself goes well, and why. */
  exitCode: number
  why: string | null
}

export class Stop {
  readonly #board: Board
  readonly #options: StopOptions
  readonly #begunAt: number
  /** ms for which serving goes on. */
  readonly #delay: number
  #isUrgent = false
  #isDelayed = false
  #hasDrainBegun = false

  constructor(board: Board, options: StopOptions) {
    this.#board = board
    this.#options = options
    this.#begunAt = board.now
    const { stopTimeout } = board.release
    // Where nobody serves there is nothing to wait for.
    const isServed = board.pool.slots.some(({ serving }) => serving?.state === 'ready')
    this.#delay = options.isUrgent || !isServed ? 0 : board.release.shutdownDelay
    board.emit({
      type: 'progress',
      progress: {
        event: 'stopping',
        reason: options.reason,
        delay: this.#delay,
        budget: this.#delay + stopTimeout,
      },
    })
  }

  /** To be called once everything else that was under way has been given up. */
  begin(): void {
    if (this.#options.isUrgent) this.#leaveNow()
    else if (this.#delay === 0) this.#drain()
    else this.#goOnServing()
  }

  /** It is asked for again; a further signal ends what is waited for now: the delay, or else the drain. */
  askedAgain({ isUrgent, isRepeated }: { isUrgent: boolean; isRepeated: boolean }): void {
    if (isUrgent || (isRepeated && !this.#isDelayed)) return this.#leaveNow()
    if (isRepeated) this.#endDelay('a second stop signal')
  }

  delayIsOver(): void {
    if (this.#isDelayed) this.#endDelay(`after ${formatDuration(this.#delay)}`)
  }

  /** No worker is left. `killed`: how many have ever been killed. */
  end(killed: number): OperationResult {
    // All may have died while they were to go on serving.
    this.#beginDrain()
    const { killedBefore, why, exitCode: wanted } = this.#options
    const forced = killed - killedBefore
    this.#board.emit({
      type: 'progress',
      progress: { event: 'stopped', ms: Math.round(this.#elapsed), forced },
    })
    const isForced = forced > 0 || this.#isUrgent
    const how = isForced ? 'stopped at once' : 'stopped'
    const said = forced > 0 ? `stopped; ${forced} workers had to be killed` : how
    const exitCode = wanted !== 0 ? wanted : isForced ? 1 : 0
    const message = why === null ? said : `${said}: ${why}`
    const { generation } = this.#board.release
    return { ok: exitCode === 0, exitCode, message, generation, failures: [] }
  }

  get #elapsed(): number {
    return this.#board.now - this.#begunAt
  }

  /** Who does not serve (yet, or any more) leaves at once. */
  #goOnServing(): void {
    this.#isDelayed = true
    this.#board.emit({ type: 'setTimer', key: 'shutdownDelay', ms: this.#delay })
    const { pool } = this.#board
    const serving = new Set(pool.slots.map((slot) => slot.serving))
    for (const handle of pool.live)
      if (handle.state !== 'ready' || !serving.has(handle)) this.#board.retire(handle, 'stop')
  }

  #endDelay(reason: string): void {
    const { stopTimeout: budget } = this.#board.release
    this.#board.emit({ type: 'progress', progress: { event: 'draining', reason, budget } })
    this.#drain()
  }

  #drain(): void {
    this.#beginDrain()
    for (const handle of this.#board.pool.live) this.#board.retire(handle, 'stop')
  }

  #leaveNow(): void {
    this.#isUrgent = true
    this.#beginDrain()
    for (const handle of this.#board.pool.live) this.#board.operations.leaveNow(handle)
  }

  #beginDrain(): void {
    this.#isDelayed = false
    if (this.#hasDrainBegun) return
    this.#hasDrainBegun = true
    this.#board.emit({ type: 'clearTimer', key: 'shutdownDelay' })
    this.#board.emit({ type: 'drainBegun' })
  }
}
