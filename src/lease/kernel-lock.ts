// A lock held by the kernel for as long as this process lives: an abstract unix socket (Linux).
// It is free the instant its holder dies, however it dies; a stopped holder keeps it; no clock is involved.
// It holds within one network namespace; src/primary/name-lock.ts joins it with a visible record.

import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/**
 * Bytes of the name after the leading NUL. Node 20 pads abstract names with NULs to the full length and later versions
 * do not: only a name of the full length is the same name for all of them.
 */
const NAME_LENGTH = 107

/** Whether this platform has kernel locks; `FORKSAFE_NO_KERNEL_LOCK=1` tells it not to use them. */
export const hasKernelLock = (): boolean =>
  process.platform === 'linux' && process.env.FORKSAFE_NO_KERNEL_LOCK !== '1'

/**
 * Takes the lock, or returns null if another process holds it.
 *
 * @param scope what is locked: any text; `secret` keeps other users from taking the name first.
 * @returns the function that gives the lock back.
 */
export const takeKernelLock = async (
  scope: string,
  secret: string,
): Promise<(() => Promise<void>) | null> => {
  const server = createServer((socket) => socket.destroy())
  server.unref()
  return (await listen(server, abstractName(scope, secret))) ? () => close(server) : null
}

const abstractName = (scope: string, secret: string): string => {
  const uid = process.getuid?.() ?? 0
  const digest = createHash('sha256').update(`${secret}\n${scope}`).digest('hex')
  return `\0${`forksafe-${uid}-${digest}-`.padEnd(NAME_LENGTH, '=')}`
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
