// A lock held by the kernel for as long as this process lives: an abstract unix socket (Linux).
// It is free the instant its holder dies, however it dies; a stopped holder keeps it; no clock is involved. Who waits
// for it keeps a connection to it, which ends at that instant too.
// It holds within one network namespace: lease-record.ts is the record that is seen beyond it.

import { createHash } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { errnoOf } from '../shared/config-file.js'
import { markAsOwn } from '../shared/own-server.js'

/**
 * Bytes of the name after the leading NUL. Node 20 pads abstract names with NULs to the full length and later versions
 * do not: only a name of the full length is the same name for all of them.
 */
const NAME_LENGTH = 107
/** How many may wait with a connection; each is a descriptor of the holder. Who comes later has to ask again. */
const MAX_WAITERS = 256
/** What a waiter that is one too many is told, so that it does not take the end of its connection for a free lock. */
const TOO_MANY = '!'

/** Whether this platform has kernel locks; `FORKSAFE_NO_KERNEL_LOCK=1` tells it not to use them. */
export const hasKernelLock = (): boolean =>
  process.platform === 'linux' && process.env.FORKSAFE_NO_KERNEL_LOCK !== '1'

/**
 * Takes the lock, or returns null if another process, or another caller in this one, holds it. Holding it does not keep
 * the process alive.
 *
 * @param scope what is locked: any text; `secret` keeps other users from taking the name first.
 * @returns the function that gives the lock back: it is free when the call returns, and all is closed when it settles.
 */
export const takeKernelLock = async (
  scope: string,
  secret: string,
): Promise<(() => Promise<void>) | null> => {
  const waiters = new Set<Socket>()
  const server = createServer((socket) => keep(socket, waiters))
  server.unref()
  markAsOwn(server)
  if (!(await listen(server, abstractName(scope, secret)))) return null
  return () => {
    // The listening socket first: whoever sees its connection end then finds the name free.
    const isClosed = close(server)
    for (const socket of waiters) socket.destroy()
    return isClosed
  }
}

/**
 * Waits until the present holder has let go of the lock or has died.
 *
 * @param options.keepsAlive whether waiting keeps this process alive.
 * @returns `'free'`, or `'unknown'` when this lock cannot be waited for at the moment: too many do already. Rejects with
 *   the signal's reason.
 */
export const kernelLockIsFree = (
  scope: string,
  secret: string,
  { signal, keepsAlive }: { signal: AbortSignal; keepsAlive: boolean },
): Promise<'free' | 'unknown'> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    let answer: 'free' | 'unknown' = 'free'
    const socket = connect({ path: abstractName(scope, secret) })
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    if (!keepsAlive) socket.unref()
    socket.on('data', () => {
      answer = 'unknown'
    })
    // Nobody listens: free. EAGAIN: a stopped holder has as many in its queue as the kernel keeps. Ours: EMFILE.
    socket.on('error', (error) => {
      const code = errnoOf(error)
      if (code !== 'ECONNREFUSED' && code !== 'ECONNRESET' && code !== 'EPIPE') answer = 'unknown'
    })
    socket.on('close', () => {
      signal.removeEventListener('abort', abort)
      resolve(answer)
    })
  })

const abstractName = (scope: string, secret: string): string => {
  const uid = process.getuid?.() ?? 0
  const digest = createHash('sha256').update(`${secret}\n${scope}`).digest('hex')
  return `\0${`forksafe-${uid}-${digest}-`.padEnd(NAME_LENGTH, '=')}`
}

const keep = (socket: Socket, waiters: Set<Socket>): void => {
  socket.on('error', () => {})
  if (waiters.size >= MAX_WAITERS) {
    socket.end(TOO_MANY, () => socket.destroy())
    return
  }
  waiters.add(socket)
  socket.unref()
  // Read, or the end of a waiter would not be seen.
  socket.resume()
  socket.on('close', () => waiters.delete(socket))
}

const listen = (server: Server, path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    // `exclusive`: in a cluster worker the primary would otherwise hold it, and share it.
    server.listen({ path, exclusive: true }, () => {
      server.on('error', () => {})
      resolve(true)
    })
  })

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
