// What travels over the control socket: paths, headers and the lines of a stream. Server and client meet here.
// It is HTTP/1.1 with JSON bodies; what takes long answers with one JSON object a line (NDJSON).

import type { LogLine } from '../observe/log-buffer.js'
import type { LogLevel } from '../shared/log-level.js'
import type { OperationResult, Progress } from '../shared/progress.js'

/** On every response: which version answered. */
export const VERSION_HEADER = 'forksafe-version'

export const PATHS = {
  version: '/v1/version',
  status: '/v1/status',
  audit: '/v1/audit',
  auditCount: '/v1/audit/count',
  started: '/v1/started',
  reload: '/v1/reload',
  restart: '/v1/restart',
  scale: '/v1/scale',
  handoff: '/v1/handoff',
  stop: '/v1/stop',
  logs: '/v1/logs',
  logLevel: '/v1/log-level',
} as const

/** Who answers on a socket; `startTime` as in src/shared/process-identity.ts. */
export interface SupervisorIdentity {
  name: string
  pid: number
  version: string
}

export type VersionAnswer = SupervisorIdentity & { startTime: number | null }

/** What is asked for and what is answered on `logLevel`. */
export interface LogLevelAnswer {
  level: LogLevel
}

/** How many sockets of the tree have that port at either end. */
export interface PortCount {
  port: number
  count: number
}

/** Sent each second, so that a client can tell a long operation from a stalled supervisor. */
export interface AliveLine {
  event: 'alive'
}

/** Lines that the reader was too slow for. */
export interface DroppedLine {
  event: 'dropped'
  count: number
}

/** `result` is the last line. */
export type OperationLine = Progress | AliveLine | DroppedLine | ({ event: 'result' } & OperationResult)

/** `end` is the last line: there is no more, or the supervisor ends. */
export type LogStreamLine = ({ event: 'line' } & LogLine) | AliveLine | DroppedLine | { event: 'end' }

/** Body of an answer that is not 2xx. */
export interface Problem {
  code: string
  message: string
}

export interface ControlTiming {
  /** Between two `alive` lines. */
  alive: number
  /** For the head of a request. */
  headers: number
  /** For a whole request. */
  request: number
}

export const DEFAULT_TIMING: ControlTiming = { alive: 1_000, headers: 5_000, request: 10_000 }
