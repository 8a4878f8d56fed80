// The control socket of a running supervisor: HTTP on a unix socket that only its user can open.
// Here: the socket, its limits, and what becomes of requests that are broken. What the paths do: src/control/routes.ts.
// Nothing that a client does or leaves undone reaches the supervisor but a complete, valid request.

import { createServer, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Controllable } from '../primary/controllable.js'
import { errnoOf } from '../shared/config-file.js'
import { messageOf } from '../shared/errors.js'
import { claimSocketPath, nameRunning } from './claim-socket-path.js'
import { Refusal } from './refusal.js'
import { answerRequest, type RouteContext, sendJson } from './routes.js'
import {
  type ControlTiming,
  DEFAULT_TIMING,
  type Problem,
  type SupervisorIdentity,
  VERSION_HEADER,
} from './wire.js'

export interface ControlServerOptions {
  /** See `runtimePaths` in src/shared/runtime-folder.ts; the folder has been checked. */
  socketPath: string
  supervisor: Controllable
  identity: SupervisorIdentity
  /** For tests. */
  timing?: Partial<ControlTiming>
}

export interface ControlServer {
  /**
   * Takes no more requests, lets operations send their result and log streams their end, for at most a second, and
   * removes the socket file.
   */
  close(): Promise<void>
}

const MAX_CONNECTIONS = 128
const MAX_HEADER_BYTES = 8 * 1024
const CLOSE_TIMEOUT = 1_000

/**
 * Listens on the control socket (mode 0600).
 *
 * @throws FORKSAFE_ERR_NAME_RUNNING, FORKSAFE_ERR_RUNTIME_FOLDER: what lies at the path is not ours to replace.
 */
export const serveControl = async (options: ControlServerOptions): Promise<ControlServer> => {
  const { socketPath, supervisor, identity } = options
  const timing = { ...DEFAULT_TIMING, ...options.timing }
  await claimSocketPath(socketPath, identity.name)
  const context: RouteContext = { supervisor, identity, timing, followers: new Set() }
  const unfinished = new Set<Promise<void>>()
  const server = createServer(
    {
      headersTimeout: timing.headers,
      requestTimeout: timing.request,
      connectionsCheckingInterval: Math.min(1_000, timing.headers),
      keepAliveTimeout: timing.headers,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => {
      request.on('error', () => {})
      response.on('error', () => {})
      response.setHeader(VERSION_HEADER, identity.version)
      const finished = new Promise<void>((resolve) => response.on('finish', resolve).on('close', resolve))
      unfinished.add(finished)
      void finished.then(() => unfinished.delete(finished))
      answerRequest(request, response, context).catch((error: unknown) => refuse(response, error))
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', (error, socket) => refuseBroken(error, socket, identity))
  await listen(server, socketPath, identity)
  // Whatever happens to the listening socket later must not end the supervisor: signals still reach it.
  server.on('error', () => {})
  return { close: () => close(server, context, unfinished) }
}

const listen = (server: Server, socketPath: string, identity: SupervisorIdentity): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(errnoOf(error) === 'EADDRINUSE' ? nameRunning(socketPath, identity.name) : error)
    })
    server.once('listening', resolve)
    // The file gets its mode when it is made, in this very call: a chmod afterwards would leave a gap.
    const umask = process.umask(0o177)
    try {
      server.listen(socketPath)
    } finally {
      process.umask(umask)
    }
  })

const close = async (
  server: Server,
  { followers }: RouteContext,
  unfinished: ReadonlySet<Promise<void>>,
): Promise<void> => {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const end of [...followers]) end()
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT)
  })
  await Promise.race([Promise.all(unfinished), deadline])
  clearTimeout(timer)
  server.closeAllConnections()
  await closed
}

const refuse = (response: ServerResponse, error: unknown): void => {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  if (error instanceof Refusal) {
    if (error.allow !== undefined) response.setHeader('allow', error.allow)
    sendJson(response, error.status, problem(error.message))
  } else {
    sendJson(response, 500, problem(`unexpected: ${messageOf(error)}`))
  }
}

const problem = (message: string): Problem => ({ code: 'FORKSAFE_ERR_CONTROL_REFUSED', message })

/** What is no HTTP, too large a head, or was not complete in time. */
const refuseBroken = (error: Error, socket: Duplex, { version }: SupervisorIdentity): void => {
  socket.on('error', () => {})
  if (!socket.writable || errnoOf(error) === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = STATUS_OF[errnoOf(error)] ?? 400
  const body = `${JSON.stringify(problem(`${STATUS_CODES[status]}: not a complete HTTP request`))}\n`
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'connection: close',
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      `${VERSION_HEADER}: ${version}`,
      '',
      body,
    ].join('\r\n'),
  )
}

const STATUS_OF: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}
