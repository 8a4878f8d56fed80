// The desk of the owner's process: HTTP on a unix socket that this user alone can open, for the other relay workers and for
// `supervisor spool`. What its paths answer is desk-routes.ts; the other end is remote-door.ts and desk-client.ts.

import { setMaxListeners } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { markAsOwn } from '../shared/own-server.js'
import { settledWithin } from '../shared/settled-within.js'
import { answerDesk } from './desk-routes.js'
import type { Owner } from './owner.js'

export interface Desk {
  /** Takes no more requests, lets those that it has be answered, for at most `timeout` ms, and removes the socket. */
  close(options: { timeout: number }): Promise<void>
}

const HEADERS_TIMEOUT = 10_000

/**
 * Listens. A file that lies there is removed: who holds the lease knows that nobody else listens.
 *
 * @param path in a folder that belongs to this user alone.
 */
export const openDesk = async (path: string, owner: Owner): Promise<Desk> => {
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  let busy = 0
  let tellIdle = (): void => {}
  const server = createServer(
    // Watching is one long request; who may connect is this user.
    { headersTimeout: HEADERS_TIMEOUT, requestTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      request.on('error', () => {})
      response.on('error', () => {})
      busy++
      response.once('close', () => {
        if (--busy === 0) tellIdle()
      })
      answerDesk(request, response, owner, ending.signal)
    },
  )
  markAsOwn(server)
  server.on('clientError', (_error, socket) => socket.destroy())
  await listen(server, path)
  server.on('error', () => {})
  return {
    close: async ({ timeout }) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      ending.abort()
      server.closeIdleConnections()
      const idle = new Promise<void>((resolve) => {
        tellIdle = resolve
        if (busy === 0) resolve()
      })
      await settledWithin(idle, timeout)
      server.closeAllConnections()
      await closed
    },
  }
}

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    rmSync(path, { force: true })
    server.once('error', reject)
    server.once('listening', () => {
      server.removeListener('error', reject)
      resolve()
    })
    // The file gets its mode when it is made, in this very call: a chmod afterwards would leave a gap.
    const umask = process.umask(0o177)
    try {
      // Not through the cluster, where the primary would listen in our place.
      server.listen({ path, exclusive: true })
    } finally {
      process.umask(umask)
    }
  })
