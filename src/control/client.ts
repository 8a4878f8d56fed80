// The other end of the control socket, as functions: what one asks a running supervisor for and what comes back.
// Which supervisor: src/control/find-supervisors.ts. Bounds and failures of one request: src/control/http-exchange.ts.

import type { AuditReport } from '../audit/audit-report.js'
import type { LogLine } from '../observe/log-buffer.js'
import { formatDuration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import { isAlive, type ProcessIdentity } from '../shared/process-identity.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { SupervisorStatus } from '../shared/status.js'
import { VERSION } from '../shared/version.js'
import {
  isAuditReport,
  isLogLevelAnswer,
  isLogStreamLine,
  isOperationLine,
  isPortCount,
  isStatus,
  isVersionAnswer,
} from './answers.js'
import {
  type ControlTarget,
  type Exchange,
  type ExchangeTiming,
  exchange,
  jsonLines,
  malformed,
  parseAnswer,
} from './http-exchange.js'
import { PATHS, type VersionAnswer } from './wire.js'

export interface ClientTiming extends ExchangeTiming {
  /** How long a supervisor may take from the result of `stop` to the end of its process. */
  gone: number
}

const DEFAULT_TIMING: ClientTiming = { firstByte: 5_000, idle: 10_000, gone: 10_000 }
const GONE_POLL = 20

type OnProgress = (progress: Progress) => void

/**
 * A running supervisor, seen through its control socket.
 *
 * Each method throws FORKSAFE_ERR_NOT_RUNNING, FORKSAFE_ERR_CONTROL_TIMEOUT or FORKSAFE_ERR_CONTROL_REFUSED, and none
 * waits without a bound: an operation may take long, but its stream must show a sign of life each 10 s.
 */
export class ControlClient {
  readonly target: ControlTarget
  readonly #timing: ClientTiming
  readonly #onOtherVersion: (version: string) => void

  /** @param onOtherVersion told the version of a supervisor that is not this one's, at each answer. */
  constructor(
    target: ControlTarget,
    timing: Partial<ClientTiming> = {},
    onOtherVersion: (version: string) => void = () => {},
  ) {
    this.target = target
    this.#onOtherVersion = onOtherVersion
    this.#timing = { ...DEFAULT_TIMING, ...timing }
  }

  async version(): Promise<VersionAnswer> {
    const answer = await this.#ask({ method: 'GET', path: PATHS.version })
    if (!isVersionAnswer(answer)) throw malformed(this.target)
    return answer
  }

  async status(): Promise<SupervisorStatus> {
    const answer = await this.#ask({ method: 'GET', path: PATHS.status })
    if (!isStatus(answer)) throw malformed(this.target)
    return answer
  }

  /** @param options.sockets whether each single socket is listed too. */
  async audit({ sockets = false }: { sockets?: boolean } = {}): Promise<AuditReport> {
    const answer = await this.#ask({ method: 'GET', path: `${PATHS.audit}?sockets=${sockets}` })
    if (!isAuditReport(answer)) throw malformed(this.target)
    return answer
  }

  /** How many sockets of the tree have that port at either end. */
  async countPort(port: number): Promise<number> {
    const answer = await this.#ask({ method: 'GET', path: `${PATHS.auditCount}?port=${port}` })
    if (!isPortCount(answer)) throw malformed(this.target)
    return answer.count
  }

  /** The least level of the supervisor's own lines; with `level` it is set first. */
  async logLevel(level?: LogLevel): Promise<LogLevel> {
    const answer = await this.#ask(
      level === undefined
        ? { method: 'GET', path: PATHS.logLevel }
        : { method: 'PUT', path: PATHS.logLevel, body: { level } },
    )
    if (!isLogLevelAnswer(answer)) throw malformed(this.target)
    return answer.level
  }

  /** Rolls all workers; the result tells how it went, `exitCode` as in docs/cli.md. */
  reload(onProgress: OnProgress = () => {}): Promise<OperationResult> {
    return this.#operate(PATHS.reload, {}, onProgress)
  }

  /** Stops all workers, then starts all; the result tells how it went and how long the gap was. */
  restart(onProgress: OnProgress = () => {}): Promise<OperationResult> {
    return this.#operate(PATHS.restart, {}, onProgress)
  }

  /** That many workers, or `by` more or fewer. */
  scale(workers: number | { by: number }, onProgress: OnProgress = () => {}): Promise<OperationResult> {
    return this.#operate(PATHS.scale, typeof workers === 'number' ? { workers } : workers, onProgress)
  }

  /** Hands an exclusive client's connection to the worker of that slot, or to the one that is next. */
  handOff(client: string, slot: number | null, onProgress: OnProgress = () => {}): Promise<OperationResult> {
    return this.#operate(PATHS.handoff, slot === null ? { client } : { client, slot }, onProgress)
  }

  /** Settles when all workers were ready for the first time, or it stopped before that. */
  untilStarted(onProgress: OnProgress = () => {}): Promise<OperationResult> {
    return this.#operate(PATHS.started, null, onProgress)
  }

  /** Stops the supervisor and waits until its process is gone. */
  async stop(options: { now?: boolean } = {}, onProgress: OnProgress = () => {}): Promise<OperationResult> {
    const identity = await this.version()
    const result = await this.#operate(PATHS.stop, { now: options.now ?? false }, onProgress)
    await this.#untilGone(identity)
    return result
  }

  /**
   * The newest `lines` lines, then, with `follow`, each new one until `signal` or the supervisor's end.
   *
   * @param onDropped told how many lines were left out because they came faster than they were read.
   */
  async logs(
    onLine: (line: LogLine) => void,
    options: {
      lines?: number
      follow?: boolean
      signal?: AbortSignal
      onDropped?: (count: number) => void
    } = {},
  ): Promise<void> {
    const { lines = 100, follow = false, signal, onDropped = () => {} } = options
    let hasEnded = false
    const onText = jsonLines(this.target, (line) => {
      if (!isLogStreamLine(line)) throw malformed(this.target)
      if (line.event === 'line') {
        const { event: _event, ...rest } = line
        onLine(rest)
      } else if (line.event === 'dropped') onDropped(line.count)
      else if (line.event === 'end') {
        hasEnded = true
      }
    })
    const path = `${PATHS.logs}?lines=${lines}&follow=${follow}`
    await this.#exchange({ method: 'GET', path, signal }, onText)
    if (!hasEnded && signal?.aborted !== true) throw this.#cutShort()
  }

  async #ask(question: Exchange): Promise<unknown> {
    let text = ''
    await this.#exchange(question, (piece) => {
      text += piece
    })
    return parseAnswer(this.target, text)
  }

  /** @param body null for what changes nothing. */
  async #operate(path: string, body: object | null, onProgress: OnProgress): Promise<OperationResult> {
    let result: OperationResult | undefined
    const onText = jsonLines(this.target, (line) => {
      if (!isOperationLine(line)) throw malformed(this.target)
      if (line.event === 'result') {
        const { event: _event, ...rest } = line
        result = rest
      } else if (line.event !== 'alive' && line.event !== 'dropped') {
        onProgress(line)
      }
    })
    const request = body === null ? { method: 'GET' as const, path } : { method: 'POST' as const, path, body }
    await this.#exchange(request, onText)
    if (result === undefined) throw this.#cutShort()
    return result
  }

  async #exchange(request: Exchange, onText: (text: string) => void): Promise<void> {
    await exchange(this.target, request, this.#timing, onText, (version) => {
      if (version !== VERSION) this.#onOtherVersion(version)
    })
  }

  async #untilGone({ pid, startTime }: ProcessIdentity): Promise<void> {
    const deadline = performance.now() + this.#timing.gone
    while (isAlive({ pid, startTime })) {
      if (performance.now() > deadline) {
        const limit = formatDuration(this.#timing.gone)
        throw new ForksafeError(
          'FORKSAFE_ERR_CONTROL_TIMEOUT',
          `supervisor ${this.target.name} stopped its workers, but its process ${pid} is still there after ${limit}`,
          { details: { name: this.target.name, pid } },
        )
      }
      await new Promise((resolve) => setTimeout(resolve, GONE_POLL))
    }
  }

  #cutShort(): ForksafeError {
    const { name } = this.target
    return new ForksafeError(
      'FORKSAFE_ERR_NOT_RUNNING',
      `supervisor ${name} ended before it had answered; see its log`,
      { details: { name } },
    )
  }
}
