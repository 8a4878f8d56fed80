// Where lines leave the primary: its stdout and stderr. A reader that is gone or has stopped never blocks, crashes or
// swells the primary: lines are dropped and counted instead.
// The last lines for `supervisor logs` are kept in src/observe/log-buffer.ts.

import type { LogBuffer, LogLine } from './log-buffer.js'

/** Most bytes that may wait for a slow reader. */
const MAX_WAITING = 1024 * 1024

export interface OutputOptions {
  format: 'pretty' | 'json'
  buffer: LogBuffer
  stdout?: NodeJS.WriteStream
  stderr?: NodeJS.WriteStream
}

export class Output {
  format: 'pretty' | 'json'
  readonly #buffer: LogBuffer
  readonly #sinks: { stdout: Sink; stderr: Sink }

  constructor({ format, buffer, stdout = process.stdout, stderr = process.stderr }: OutputOptions) {
    this.format = format
    this.#buffer = buffer
    this.#sinks = { stdout: new Sink(stdout), stderr: new Sink(stderr) }
  }

  /** Writes a line out and keeps it; never throws and never waits. */
  write(line: LogLine): void {
    this.#buffer.push(line)
    this.#sinks[line.stream].write(this.format === 'json' ? toJson(line) : toPretty(line))
  }

  /** Lines that no reader took. */
  get dropped(): number {
    return this.#sinks.stdout.dropped + this.#sinks.stderr.dropped
  }
}

class Sink {
  readonly #stream: NodeJS.WriteStream
  #isBroken = false
  #dropped = 0
  #droppedUnsaid = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    neverBlock(stream)
    // EPIPE and its like: the reader is gone for good; the service goes on without it.
    stream.on('error', () => {
      this.#isBroken = true
    })
  }

  get dropped(): number {
    return this.#dropped
  }

  write(text: string): void {
    if (this.#isBroken || this.#stream.destroyed || this.#stream.writableLength > MAX_WAITING) {
      this.#dropped++
      this.#droppedUnsaid++
      return
    }
    if (this.#droppedUnsaid > 0) {
      this.#stream.write(
        `supervisor: ${this.#droppedUnsaid} lines were dropped because their reader was too slow\n`,
      )
      this.#droppedUnsaid = 0
    }
    this.#stream.write(text)
  }
}

/**
 * Node writes to a terminal synchronously: one that was halted (Ctrl-S), or whose remote end hangs, would halt the
 * primary, and with it every new connection. There is no public switch.
 */
const neverBlock = (stream: NodeJS.WriteStream): void => {
  if (!stream.isTTY) return
  const handle: unknown = Reflect.get(stream, '_handle')
  if (typeof handle !== 'object' || handle === null) return
  const setBlocking: unknown = Reflect.get(handle, 'setBlocking')
  if (typeof setBlocking === 'function') Reflect.apply(setBlocking, handle, [false])
}

const toJson = ({ at, ...rest }: LogLine): string =>
  `${JSON.stringify({ time: new Date(at).toISOString(), ...rest })}\n`

const toPretty = (line: LogLine): string => {
  const time = new Date(line.at).toTimeString().slice(0, 8)
  if (line.source === 'worker') return `${time} [${line.slot}:${line.pid}] ${line.text}\n`
  const level = line.level === 'warn' || line.level === 'error' ? `${line.level}: ` : ''
  return `${time} [supervisor] ${level}${line.text}\n`
}
