// What `supervisor status --json` prints: a stable contract. Produced by src/primary, shown by src/cli.

import type { ConnectCount } from './connect-in-request.js'
import type { LimitBreach } from './limits.js'
import type { LogLevel } from './log-level.js'
import type { WorkerRole } from './relay-role.js'
import type { ClientReport } from './resources.js'

export type SupervisorState = 'starting' | 'running' | 'reloading' | 'stopping' | 'stopped'
/** `waiting` is a slot whose next start is held back by backoff; it has no process. */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'stopping' | 'exited' | 'waiting'

export interface LastExit {
  code: number | null
  signal: string | null
  /** In words: `exited with code 1: Error: boom`, `killed by SIGKILL`, `not ready within 30s`. */
  reason: string
  /** Unix time in ms. */
  at: number
}

export interface WorkerStatus {
  slot: number
  /** Whether it runs the app or a relay. */
  role: WorkerRole
  /** Number of the worker, counted up over the supervisor's life; 0 for a slot that waits. */
  id: number
  pid: number | null
  state: WorkerState
  generation: number
  /** How often this slot has been started again after a crash. */
  restarts: number
  lastExit: LastExit | null
  /** Unix time in ms of the next attempt, for `waiting`. */
  nextStartAt: number | null
  /** The limit for which it is about to be replaced. */
  overLimit: LimitBreach | null
  uptimeMs: number
  rssBytes: number | null
  cpuPercent: number | null
  eventLoopDelayMs: number | null
  clients: ClientReport[]
  /** Places of the code that dialled a WebSocket while a request was served, with how often. */
  connectsInRequests: ConnectCount[]
}

export interface LogStatus {
  /** Lines that could not be written out, over stdout, stderr and log file, since the supervisor started. */
  dropped: number
  /** Least level of the supervisor's own lines. */
  level: LogLevel
  /** Absolute path of the log file. */
  file: string | null
}

export interface RelayPlace {
  /** `unix:PATH`, `127.0.0.1:PORT`. */
  listen: string[]
  /** Absolute folder. */
  spool: string
}

export interface SupervisorStatus {
  name: string
  pid: number
  state: SupervisorState
  generation: number
  script: string
  /** Unix time in ms. */
  startedAt: number
  /** Where /livez and /readyz are answered, `http://127.0.0.1:9090`; null where nowhere. */
  health: string | null
  /** Where callers reach the relay and where their messages are kept; null without one. */
  relay: RelayPlace | null
  logs: LogStatus
  workers: WorkerStatus[]
}

/** How many workers there are, and how many there shall be. */
export interface Census {
  generation: number
  wanted: number
  /** Slots that have a ready worker. */
  ready: number
  /** Every worker that is not gone. */
  live: number
}
