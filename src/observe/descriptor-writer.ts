// Writes to a file that stdout or stderr was redirected to. Node's own stream writes there synchronously, which a slow
// disk would make everybody feel, and takes a short write for a whole one; this does neither.

import { write, writeSync } from 'node:fs'
import { MAX_WAITING } from './sink.js'
import type { Writer } from './writer.js'

/** Never closes the descriptor: it is the process's own. No failure is final: a full disk gets room again. */
export const descriptorWriter = (fd: number, name: string): Writer => ({
  name,
  joins: MAX_WAITING,
  write: (bytes, done) => {
    const from = (offset: number): void =>
      write(fd, bytes, offset, bytes.length - offset, null, (error, count) => {
        if (error !== null) return done({ error, written: offset, isFinal: false })
        if (offset + count < bytes.length) return from(offset + count)
        done(null)
      })
    from(0)
  },
  writeSync: (bytes) => void writeSync(fd, bytes),
  close: async () => {},
})
