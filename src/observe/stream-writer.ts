// Writes to a pipe, a socket or a terminal. Once its reader is gone that is final.
// Files behind stdout are src/observe/descriptor-writer.ts.

import type { Writer } from './writer.js'

/** Never closes the stream: it is the process's own. */
export const streamWriter = (stream: NodeJS.WriteStream, name: string): Writer => {
  let gone: Error | undefined
  neverBlock(stream)
  // EPIPE and its like: without a listener the process would end.
  stream.on('error', (error) => {
    gone ??= error
  })
  return {
    name,
    joins: 64 * 1024,
    write: (bytes, done) => {
      if (gone !== undefined || stream.destroyed) {
        return done({ error: gone ?? new Error('the reader is gone'), written: 0, isFinal: true })
      }
      stream.write(bytes, (error) => done(error ? { error: gone ?? error, written: 0, isFinal: true } : null))
    },
    close: async () => {},
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
