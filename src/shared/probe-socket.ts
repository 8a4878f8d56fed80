// Whether somebody listens on a unix socket. The kernel answers, so even a stopped process counts as listening.

import { createConnection } from 'node:net'
import { errnoOf } from './config-file.js'

const PROBE_TIMEOUT = 1_000

/**
 * - `listening`: a process holds it. Also when its queue is full.
 * - `stale`: a socket file that nobody listens on.
 * - `missing`: no such file.
 * - `denied`: this user may not connect.
 * - `foreign`: a file that is no stream socket.
 */
export type SocketState = 'listening' | 'stale' | 'missing' | 'denied' | 'foreign'

export const probeSocket = (path: string): Promise<SocketState> =>
  new Promise((resolve) => {
    const socket = createConnection(path)
    const answer = (state: SocketState): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(state)
    }
    const timer = setTimeout(() => answer('listening'), PROBE_TIMEOUT)
    socket.on('connect', () => answer('listening'))
    socket.on('error', (error) => answer(stateOf(errnoOf(error))))
  })

const stateOf = (errno: string): SocketState => {
  switch (errno) {
    case 'ECONNREFUSED':
      return 'stale'
    case 'ENOENT':
      return 'missing'
    case 'EACCES':
    case 'EPERM':
      return 'denied'
    case 'EAGAIN':
      return 'listening'
    default:
      return 'foreign'
  }
}
