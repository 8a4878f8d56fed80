// Two addresses for whoever looks whether this instance lives and takes traffic (Kubernetes, a load balancer, Docker):
// GET /livez and GET /readyz, in the primary. Not the control socket (server.ts): nothing can be changed here, nothing
// else is told, and it may be open to a network. What counts as ready: src/primary/service-readiness.ts.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { ServiceReadiness } from '../primary/service-readiness.js'
import { errnoOf } from '../shared/config-file.js'
import { ForksafeError } from '../shared/errors.js'
import { type HealthAddress, healthUrl } from '../shared/health-address.js'
import { markAsOwn } from '../shared/own-server.js'

export interface HealthServer {
  /** Cuts off whoever is connected and settles when the port is free. */
  close(): Promise<void>
}

/** For a whole request, so that nobody who says nothing keeps a probe from its place. */
const REQUEST_TIMEOUT = 2_000
const CHECK_INTERVAL = 500
const MAX_CONNECTIONS = 64
const MAX_HEADER_BYTES = 4 * 1024

/**
 * Listens until it is closed.
 *
 * @param readiness asked for each request of /readyz.
 * @throws FORKSAFE_ERR_HEALTH_ADDRESS: the address cannot be listened on.
 */
export const serveHealth = async (
  address: HealthAddress,
  readiness: () => ServiceReadiness,
): Promise<HealthServer> => {
  const server = createServer(
    {
      headersTimeout: REQUEST_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: CHECK_INTERVAL,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => answer(request, response, readiness),
  )
  server.maxConnections = MAX_CONNECTIONS
  markAsOwn(server)
  await listen(server, address)
  server.on('error', () => {})
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const answer = (
  request: IncomingMessage,
  response: ServerResponse,
  readiness: () => ServiceReadiness,
): void => {
  request.on('error', () => {})
  response.on('error', () => {})
  const [path] = (request.url ?? '').split('?', 1)
  if (path !== '/livez' && path !== '/readyz') return send(response, 404, 'there is /livez and /readyz')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return send(response, 405, 'only GET and HEAD')
  }
  // Who can answer lives, also while it drains: to be killed for that would cost what the drain is for.
  if (path === '/livez') return send(response, 200, 'alive')
  const { isReady, reason } = readiness()
  send(response, isReady ? 200 : 503, isReady ? reason : `not ready: ${reason}`)
}

const send = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(`${text}\n`),
    'cache-control': 'no-store',
    // One question, one connection: none is kept open for the next one.
    connection: 'close',
  })
  response.end(`${text}\n`)
}

const listen = (server: Server, address: HealthAddress): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const why = errnoOf(error) === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${errnoOf(error)})`
      reject(
        new ForksafeError(
          'FORKSAFE_ERR_HEALTH_ADDRESS',
          `health: ${healthUrl(address)} ${why}; name an address of this machine and a free port`,
          { details: { host: address.host, port: address.port }, cause: error },
        ),
      )
    })
    server.listen({ host: address.host, port: address.port, exclusive: true }, resolve)
  })
