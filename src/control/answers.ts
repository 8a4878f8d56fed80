// Whether what came over the socket is what the contract says, looked at as far as the CLI relies on it: the other side
// may be another version.

import type { AuditReport } from '../audit/audit-report.js'
import { isLogLevel } from '../shared/log-level.js'
import type { OperationResult } from '../shared/progress.js'
import type { SupervisorStatus } from '../shared/status.js'
import type { LogLevelAnswer, LogStreamLine, OperationLine, PortCount, VersionAnswer } from './wire.js'

export const isVersionAnswer = (value: unknown): value is VersionAnswer =>
  isObject(value) &&
  typeof value.name === 'string' &&
  typeof value.version === 'string' &&
  Number.isSafeInteger(value.pid) &&
  (value.startTime === null || Number.isSafeInteger(value.startTime))

export const isLogLevelAnswer = (value: unknown): value is LogLevelAnswer =>
  isObject(value) && isLogLevel(value.level)

export const isStatus = (value: unknown): value is SupervisorStatus =>
  isObject(value) &&
  typeof value.name === 'string' &&
  typeof value.pid === 'number' &&
  typeof value.state === 'string' &&
  typeof value.generation === 'number' &&
  typeof value.script === 'string' &&
  typeof value.startedAt === 'number' &&
  isObject(value.logs) &&
  typeof value.logs.dropped === 'number' &&
  Array.isArray(value.workers) &&
  value.workers.every(isWorker)

export const isPortCount = (value: unknown): value is PortCount =>
  isObject(value) && Number.isSafeInteger(value.port) && Number.isSafeInteger(value.count)

export const isAuditReport = (value: unknown): value is AuditReport =>
  isObject(value) &&
  (value.name === null || typeof value.name === 'string') &&
  typeof value.takenAt === 'number' &&
  Array.isArray(value.processes) &&
  value.processes.every(isAuditedProcess) &&
  Array.isArray(value.endpoints) &&
  value.endpoints.every(
    (row) => isObject(row) && typeof row.endpoint === 'string' && isObject(row.byState),
  ) &&
  Array.isArray(value.findings) &&
  value.findings.every(isFinding)

/** Any kind with a name: newer versions may know more. */
const isFinding = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.kind === 'string' &&
  typeof value.severity === 'string' &&
  typeof value.who === 'string' &&
  typeof value.what === 'string' &&
  typeof value.todo === 'string'

const isAuditedProcess = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.pid === 'number' &&
  typeof value.role === 'string' &&
  typeof value.command === 'string' &&
  Array.isArray(value.sockets) &&
  Array.isArray(value.groups) &&
  value.groups.every(
    (group) =>
      isObject(group) &&
      typeof group.endpoint === 'string' &&
      isObject(group.byState) &&
      Array.isArray(group.at) &&
      Array.isArray(group.fds),
  )

/** Any event with a name: newer versions may tell more; who shows them ignores what it does not know. */
export const isOperationLine = (value: unknown): value is OperationLine =>
  isObject(value) && typeof value.event === 'string' && (value.event !== 'result' || isResult(value))

export const isLogStreamLine = (value: unknown): value is LogStreamLine =>
  isObject(value) &&
  typeof value.event === 'string' &&
  (value.event !== 'line' || (typeof value.text === 'string' && Number.isSafeInteger(value.at)))

const isResult = (value: Record<string, unknown>): value is Record<string, unknown> & OperationResult =>
  typeof value.ok === 'boolean' &&
  Number.isSafeInteger(value.exitCode) &&
  typeof value.message === 'string' &&
  Array.isArray(value.failures) &&
  value.failures.every((failure) => isObject(failure) && typeof failure.reason === 'string')

const isWorker = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.slot === 'number' &&
  typeof value.state === 'string' &&
  Array.isArray(value.clients) &&
  value.clients.every((client) => isObject(client) && typeof client.name === 'string')

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
