// Keeps what a worker writes to its IPC channel from killing or swelling the primary.
//
// Node parses each line of the channel with JSON.parse inside the handle's read callback: one line that is not JSON is an
// uncaught SyntaxError in the primary, and a line without an end grows a string without bound. Neither has a public
// hook, so the read callback of that one channel is wrapped. Where a future Node keeps the handle elsewhere nothing
// is wrapped, and the primary's own uncaughtException handler (src/primary/process-faults.ts) is what is left.

import type { ChildProcess } from 'node:child_process'

/** Most bytes of one message of a worker: an unfinished line longer than this is a fault. */
const MAX_MESSAGE = 16 * 1024 * 1024
const LINE_END = 0x0a

interface ReadableHandle {
  onread: (this: unknown, buffer: ArrayBuffer | undefined) => unknown
  readStop?: () => unknown
}

/**
 * Calls `onFault` once if the channel carried something unusable. Lines after one that is no message are still read, so
 * that the worker can be drained; after a message beyond all bounds nothing is.
 */
export const guardIpc = (child: ChildProcess, onFault: (reason: string) => void): void => {
  const handle = channelHandleOf(child)
  if (handle === undefined) return
  const read = handle.onread
  let pending = 0
  let isReported = false
  const report = (reason: string): void => {
    if (!isReported) onFault(reason)
    isReported = true
  }
  handle.onread = function guarded(buffer) {
    if (buffer !== undefined) pending = pendingAfter(pending, new Uint8Array(buffer))
    if (pending > MAX_MESSAGE) {
      handle.readStop?.()
      return report(`wrote a message of more than ${MAX_MESSAGE} bytes to its IPC channel`)
    }
    try {
      return read.call(this, buffer)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      return report('wrote something that is not a message to its IPC channel')
    }
  }
}

/** How many bytes of an unfinished line are waiting once this chunk has been read. */
const pendingAfter = (pending: number, chunk: Uint8Array): number => {
  const lastEnd = chunk.lastIndexOf(LINE_END)
  return lastEnd === -1 ? pending + chunk.length : chunk.length - lastEnd - 1
}

const channelHandleOf = (child: ChildProcess): ReadableHandle | undefined => {
  for (const key of Object.getOwnPropertySymbols(child)) {
    if (key.description !== 'kChannelHandle') continue
    const handle: unknown = Reflect.get(child, key)
    return isReadable(handle) ? handle : undefined
  }
  return undefined
}

const isReadable = (handle: unknown): handle is ReadableHandle =>
  typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'onread') === 'function'
