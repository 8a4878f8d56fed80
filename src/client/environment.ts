// Time, chance and turns as the client sees them. Real ones here; a simulation brings its own.

import { randomBytes } from 'node:crypto'
import { monotonicNow } from '../shared/clock.js'
import { Attempt } from './attempt.js'
import type { AttemptInfo, ParsedClientOptions } from './client-options.js'
import type { SessionChance } from './client-session.js'
import type { Connection, ConnectionEvents } from './connection.js'

export interface Timer {
  clear(): void
}

export interface Environment extends SessionChance {
  /** Wall clock, in ms since 1970: for `expiresAt` alone. */
  wallNow(): number
  /** @param isReason whether it alone is a reason for the process to stay alive. */
  setTimer(ms: number, callback: () => void, isReason: boolean): Timer
  /** Calls back when the running turn is over, before anything else happens. */
  afterTurn(callback: () => void): void
  /** Calls back when what has already come in from the network has been read. */
  afterReading(callback: () => void): void
  connect(
    epoch: number,
    name: string,
    options: ParsedClientOptions,
    events: ConnectionEvents,
    info: AttemptInfo,
  ): Connection
}

/** setTimeout() takes no more: longer waits end early, and whoever set them looks again. */
const LONGEST_TIMER = 2 ** 31 - 1

export const nodeEnvironment: Environment = {
  now: monotonicNow,
  wallNow: () => Date.now(),
  random: Math.random,
  nonce: () => randomBytes(8).toString('hex'),
  setTimer: (ms, callback, isReason) => {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER))
    if (!isReason) timer.unref()
    return { clear: () => clearTimeout(timer) }
  },
  afterTurn: (callback) => process.nextTick(callback),
  afterReading: (callback) => void setImmediate(callback),
  connect: (epoch, name, options, events, info) => new Attempt(epoch, name, options, events, info),
}
