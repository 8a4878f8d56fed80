// What a sink (src/observe/sink.ts) writes to: one thing that takes bytes. How each kind takes them, and whether it can
// recover, stands in stream-writer.ts, descriptor-writer.ts and rotating-writer.ts.

export interface WriteFailure {
  error: Error
  /** Bytes that were taken before it failed. */
  written: number
  /** Nothing will ever be taken again: the reader is gone. */
  isFinal: boolean
}

export interface Writer {
  /** How notices name it. */
  readonly name: string
  /** How many characters of lines one write may join; at least one line is written. */
  readonly joins: number
  /** Takes bytes, one call at a time, and says when they are handed on. Never throws and never blocks. */
  write(bytes: Buffer, done: (failure: WriteFailure | null) => void): void
  /** The last words of a process that exits now. May throw. */
  writeSync?(bytes: Buffer): void
  close(): Promise<void>
}
