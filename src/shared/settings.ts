// The settings a supervisor runs with: what the option table (src/shared/option-table.ts) makes of flags,
// environment, file and defaults. All parsed and checked; durations in ms.

import type { RequestGuardMode } from './connect-in-request.js'
import type { HealthAddress } from './health-address.js'
import type { LimitSettings } from './limits.js'
import type { LogLevel } from './log-level.js'
import type { RelaySettings } from './relay-settings.js'
import type { Readiness } from './worker-environment.js'

/** Most workers of one supervisor. */
export const MAX_WORKERS = 1_024

export interface Settings extends LimitSettings {
  /** Name of the supervisor; one runs per name and user. */
  name: string
  /** Absolute path of the script as given, symlinks not followed: they are followed once per generation. */
  script: string
  /** Arguments of the script: what stood after `--`. */
  args: string[]
  workers: number
  readiness: Readiness
  readyTimeout: number
  minUptime: number
  restart: RestartLimits
  stopTimeout: number
  /** How long everything goes on serving after a stop was asked for, not ready any more. */
  shutdownDelay: number
  /** Where /livez and /readyz are answered; a start decides it, and no reload changes it. */
  health?: HealthAddress
  /** What follows when the parent that keeps an IPC channel to us (pm2, or who forked us) goes away. */
  onParentExit: 'drain' | 'stay'
  /** How many replacements may be starting at once in a rolling restart. */
  maxSurge: number
  /** New connections per second, of all workers together to one upstream; 0: no pacing. */
  connectRate: number
  /** What becomes of WebSockets that a worker dials while it serves a request. */
  requestGuard: RequestGuardMode
  forkWindowTimeout: number
  /** Most connections of the whole tree, by `host:port`; more are a finding of the audit. */
  connectionBudget: Readonly<Record<string, number>>
  /** ms between two looks at how many connections there are to each endpoint; 0: none. */
  auditInterval: number
  /** What follows when a worker shares a socket, or the primary held a connection while it forked. */
  forkGuard: 'warn' | 'strict'
  /** The relay: beside the app, or all that runs. */
  relay?: RelaySettings
  /** Working folder of the workers. */
  cwd: string
  /** Added to the workers' environment. */
  env: Record<string, string>
  /** Passed to node before the script, such as `--import tsx`. */
  nodeArgs: string[]
  logFormat: 'pretty' | 'json'
  /** Least level of the supervisor's own lines when it starts; it can be changed while it runs. */
  logLevel: LogLevel
  /** Absolute path of the file that every line is also written to. */
  logFile?: string
  /** Bytes at which the log file is rotated. */
  logMaxSize: number
  /** How many log files there are at most, with the one that is written. */
  logMaxFiles: number
  /** Names of environment variables whose values never appear in a log. */
  secrets: string[]
  /** Runs in the primary before each fork window, after its clients have been closed. */
  beforeFork?: ForkHook
  /** Runs in the primary after each fork window, before its clients are opened again. */
  afterFork?: ForkHook
}

/** How often a crashed worker is started again, for each slot by itself. */
export interface RestartLimits {
  /** Most restarts within `period`; 0 allows none. */
  intensity: number
  /** In ms. */
  period: number
  /** What happens when one more would be needed: it waits until there is room again, or the supervisor stops. */
  onExceeded: 'backoff' | 'exit'
}

export type ForkHook = (window: { slots: readonly number[]; reason: string }) => unknown | Promise<unknown>
