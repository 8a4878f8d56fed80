// Keeps what a worker writes to its IPC channel from killing or swelling the primary.
//
// Node parses each line of the channel with JSON.parse inside the handle's read callback: one line that is not JSON is an
// uncaught SyntaxError in the primary and takes the lines around it along, and a line without an end grows a string
// without bound. Neither has a public hook, so the read callback of that one channel is wrapped: what is no message is
// overwritten with spaces, which JSON.parse skips, and what came with it is read all the same. It must be: acceptance
// of sockets that were handed over, and our own messages, travel on the same channel. Where a future Node keeps this
// elsewhere nothing is wrapped, and the primary's own handler (src/primary/process-faults.ts) is what is left.

import type { ChildProcess } from 'node:child_process'

/** Most MiB of one message of a worker. */
const MAX_MESSAGE_MIB = 16
const MAX_MESSAGE = MAX_MESSAGE_MIB * 1024 * 1024
/** A channel with more lines than this that are no message is closed: each costs the primary time. */
const MAX_BAD_LINES = 1_000
const LINE_END = 0x0a
const SPACE = 0x20

type Read = (this: unknown, buffer: ArrayBuffer | undefined) => unknown

/** What Node keeps of a channel, found by the names that it gives to it. */
interface Channel {
  handle: object
  read: Read
  /** The key of the text that waits for the end of its line. */
  unfinished: symbol
  /** The key of the decoder, which keeps the bytes of an unfinished character. */
  decoder: symbol
}

/**
 * Calls `onFault` once if the channel carried something unusable. Everything else on it is still read, unless there is
 * no end of nonsense: then the channel is closed, upon which a worker drains and leaves.
 */
export const guardIpc = (child: ChildProcess, onFault: (reason: string) => void): void => {
  const channel = channelOf(child)
  if (channel === null) return
  const { handle, read } = channel
  /** Bytes of the line that has not ended yet. */
  let pending = 0
  let badLines = 0
  let isSkipping = false
  let isReported = false
  const report = (reason: string): void => {
    if (!isReported) onFault(reason)
    isReported = true
  }
  const guarded: Read = function (buffer) {
    if (buffer === undefined) return read.call(this, buffer)
    const bytes = new Uint8Array(buffer)
    const firstEnd = bytes.indexOf(LINE_END)
    if (isSkipping) bytes.fill(SPACE, 0, firstEnd === -1 ? bytes.length : firstEnd + 1)
    if (firstEnd !== -1) isSkipping = false
    const lastLine = firstEnd === -1 ? 0 : bytes.lastIndexOf(LINE_END) + 1
    pending = bytes.length - lastLine + (firstEnd === -1 ? pending : 0)
    if (pending > MAX_MESSAGE) {
      isSkipping = true
      bytes.fill(SPACE, lastLine)
    }
    try {
      return read.call(this, buffer)
    } catch (error) {
      const unfinished = String(Reflect.get(handle, channel.unfinished))
      const found =
        error instanceof SyntaxError ? blankBadLines(bytes, unfinished, MAX_BAD_LINES - badLines) : 0
      if (found === 0) throw error
      badLines += found
      report('wrote something that is not a message to its IPC channel')
      forget(channel)
      if (badLines > MAX_BAD_LINES) return child.connected && child.disconnect()
      return read.call(this, buffer)
    } finally {
      if (isSkipping) {
        report(`wrote a message of more than ${MAX_MESSAGE_MIB} MiB to its IPC channel`)
        forget(channel)
      }
    }
  }
  Reflect.set(handle, 'onread', guarded)
}

/**
 * Overwrites every finished line up to the first that cannot be parsed, since those before it have been dealt with, and
 * every later one that cannot be parsed either. Their line ends too: an empty line is no message.
 *
 * @param unfinished what came before and belongs to the first line.
 * @param most how many may be found; it stops at the first beyond.
 * @returns how many such lines there were.
 */
const blankBadLines = (bytes: Uint8Array, unfinished: string, most: number): number => {
  let found = 0
  let before = unfinished
  let from = 0
  for (let end = bytes.indexOf(LINE_END); end !== -1 && found <= most; end = bytes.indexOf(LINE_END, from)) {
    const isBad = !isJson(before + Buffer.from(bytes.subarray(from, end)).toString())
    if (isBad || found === 0) bytes.fill(SPACE, from, end + 1)
    if (isBad) found++
    before = ''
    from = end + 1
  }
  return found
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const forget = ({ handle, unfinished, decoder }: Channel): void => {
  Reflect.set(handle, unfinished, '')
  Reflect.set(handle, decoder, undefined)
}

const channelOf = (child: ChildProcess): Channel | null => {
  const handleKey = keyNamed(child, 'kChannelHandle')
  const handle: unknown = handleKey === undefined ? undefined : Reflect.get(child, handleKey)
  if (typeof handle !== 'object' || handle === null) return null
  const read: unknown = Reflect.get(handle, 'onread')
  const unfinished = keyNamed(handle, 'kJSONBuffer')
  const decoder = keyNamed(handle, 'kStringDecoder')
  if (!isRead(read) || unfinished === undefined || decoder === undefined) return null
  return { handle, read, unfinished, decoder }
}

const isRead = (value: unknown): value is Read => typeof value === 'function'

const keyNamed = (owner: object, name: string): symbol | undefined =>
  Object.getOwnPropertySymbols(owner).find(({ description }) => description === name)
