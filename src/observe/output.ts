// Where lines leave the primary: its stdout and stderr, and a log file where one is named. Every line passes here, so
// here secrets are taken out, the level decides about the supervisor's own lines, and loss is told.
// The last lines for `supervisor logs` are kept in src/observe/log-buffer.ts; how lines wait for a slow reader is
// src/observe/sink.ts; what the outputs of a real supervisor are is put together in src/observe/open-output.ts.

import { isAtLeast, type LogLevel } from '../shared/log-level.js'
import type { LogBuffer, LogLine } from './log-buffer.js'
import { levelOf } from './log-record.js'
import type { Redactor } from './redactor.js'
import { Sink } from './sink.js'
import type { Writer } from './writer.js'

export type LineFormat = (line: LogLine) => string

export interface Target {
  writer: Writer
  format: LineFormat
  /** The streams whose lines it gets. */
  takes: readonly LogLine['stream'][]
}

export interface OutputOptions {
  level: LogLevel
  buffer: LogBuffer
  redactor: Redactor
  targets: readonly Target[]
}

/** How long lines may take to be written when everything else has ended; what waits then waits for a stopped reader. */
const END_PATIENCE = 200

export class Output {
  /** Least level of the supervisor's own lines. */
  level: LogLevel
  readonly redactor: Redactor
  readonly #buffer: LogBuffer
  readonly #outlets: { sink: Sink; format: LineFormat; takes: Target['takes'] }[]

  constructor({ level, buffer, redactor, targets }: OutputOptions) {
    this.level = level
    this.redactor = redactor
    this.#buffer = buffer
    this.#outlets = targets.map(({ writer, format, takes }) => {
      const sink: Sink = new Sink({
        writer,
        lossNotice: (count, reason) => format(lossOf(writer, count, redactor.text(reason))),
        onFailing: (reason, isFinal) => this.#failing(sink, writer, reason, isFinal),
      })
      return { sink, format, takes }
    })
  }

  /** Writes a line out and keeps it; never throws and never waits. */
  write(line: LogLine): void {
    if (line.source === 'supervisor' && !isAtLeast(levelOf(line), this.level)) return
    this.#emit(this.#redacted(line))
  }

  /** Lines that were not written out and will not be, over all outputs. */
  get dropped(): number {
    return this.#outlets.reduce((sum, { sink }) => sum + sink.dropped, 0)
  }

  /** Waits until what was written is out, as long as it moves, and closes the log file. */
  async end(): Promise<void> {
    await Promise.all(this.#outlets.map(({ sink }) => sink.end(END_PATIENCE)))
  }

  /** For the 'exit' event of the process. */
  endSync(): void {
    for (const { sink } of this.#outlets) sink.endSync()
  }

  #emit(line: LogLine, except?: Sink): void {
    this.#buffer.push(line)
    for (const { sink, format, takes } of this.#outlets) {
      if (sink !== except && takes.includes(line.stream)) sink.write(format(line))
    }
  }

  #redacted(line: LogLine): LogLine {
    const text = this.redactor.text(line.text)
    if (line.fields === undefined) return text === line.text ? line : { ...line, text }
    const fields = Object.entries(line.fields).map(([key, value]) => [key, this.redactor.value(value)])
    return { ...line, text, fields: Object.fromEntries(fields) }
  }

  /** To the others: the one that fails cannot tell. Whatever the level, for it is about the log itself. */
  #failing(sink: Sink, { name }: Writer, reason: string, isFinal: boolean): void {
    const follows = isFinal ? 'it is not written any more' : 'it is tried again each second'
    const text = `${name} cannot be written: ${reason}; ${follows}`
    this.#emit(noticeOf(text, { event: 'logFailing', output: name, reason, isFinal }), sink)
  }
}

const noticeOf = (text: string, fields: Record<string, unknown>): LogLine => ({
  at: Date.now(),
  source: 'supervisor',
  stream: 'stderr',
  level: 'warn',
  text,
  fields,
})

const lossOf = ({ name }: Writer, count: number, reason: string): LogLine =>
  noticeOf(`${count} line${count === 1 ? ' was' : 's were'} dropped here: ${reason}`, {
    event: 'linesDropped',
    output: name,
    count,
    reason,
  })
