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
  /** How many bytes one write may join; 0 for one line at a time. */
  readonly joins: number
  /**
   * Takes bytes, one call at a time, and says when they are handed on. Never throws and never blocks.
   *
   * `lost` are lines that it had said to be handed on, and that turned out not to be.
   */
  write(bytes: Buffer, done: (failure: WriteFailure | null, lost?: number) => void): void
  /** The last words of a process that exits now. May throw. */
  writeSync?(bytes: Buffer): void
  close(): Promise<void>
}
