// The HTTP ingress of a relay worker: it listens on a unix socket, on the loopback, or on both, and hands what callers
// bring to the door. Here: the servers and their limits. What a request is answered: requests.ts.
//
// Its servers are ordinary ones to the runtime, which ends their connections in a drain; who keeps the messages is behind
// the door, and who prepared the socket's folder is the primary (src/shared/relay-socket.ts).

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { errnoOf } from '../../shared/config-file.js'
import { ForksafeError } from '../../shared/errors.js'
import type { LogLevel } from '../../shared/log-level.js'
import type { RelayListen, RelaySettings } from '../../shared/relay-settings.js'
import { openSocketTo } from '../../shared/relay-socket.js'
import type { RelayDoor } from '../door.js'
import { BodyBudget } from './body.js'
import { refuseBroken, Unanswered } from './broken-requests.js'
import { Crowd } from './crowd.js'
import { type Problem, problem, problemAnswer } from './problem.js'
import { Requests } from './requests.js'
import { type Guard, tcpGuard } from './tcp-guard.js'
import { Waiting } from './waiting.js'

export interface IngressOptions {
  door: RelayDoor
  settings: RelaySettings
  log: (level: LogLevel, text: string) => void
  /** For tests. */
  limits?: Partial<IngressLimits>
}

export interface Ingress {
  /** Whoever waits for the fate of a message is answered now; messages are still taken. */
  beginDrain(): void
  /** Listens no more, lets requests be answered for at most a second, and ends what is left. */
  close(): Promise<void>
}

export interface IngressLimits {
  /** ms for the head of a request. */
  headers: number
  /** ms for a whole request. */
  request: number
  /** ms that a connection may be kept without a request. */
  keepAlive: number
  /** ms between two looks at who is too slow. */
  checking: number
  /** Bytes of all requests together. */
  bodies: number
}

const LIMITS: IngressLimits = {
  headers: 10_000,
  request: 30_000,
  keepAlive: 60_000,
  checking: 1_000,
  bodies: 64 * 1024 * 1024,
}
const MAX_HEADER_BYTES = 8 * 1024
/** ms without a byte, longer than anybody may wait: whoever does not read its answers is not kept for ever. */
const SILENCE = 330_000
const CLOSE_TIMEOUT = 1_000
/** As many as the kernel lets wait to be let in: on a unix socket whoever comes then is not made to wait but fails. */
const BACKLOG = 4_096

/**
 * Listens on all that `settings.listen` names.
 *
 * @throws FORKSAFE_ERR_RELAY_SOCKET when one of them cannot be listened on, or not be opened to the group.
 * @throws FORKSAFE_ERR_RELAY_OPTIONS for TCP without a token.
 */
export const serveIngress = async (options: IngressOptions): Promise<Ingress> => {
  const { door, settings, log } = options
  const limits = { ...LIMITS, ...options.limits }
  const waiting = new Waiting(door)
  const requests = new Requests({ door, settings, log, waiting, budget: new BodyBudget(limits.bodies) })
  const crowd = new Crowd(settings.maxConnections)
  const servers: Server[] = []
  const close = async (): Promise<void> => {
    waiting.beginDrain()
    await Promise.all(servers.map(closeServer))
  }
  try {
    for (const listen of settings.listen) {
      const server = serverOf(requests, crowd, guardOf(listen, settings), limits)
      servers.push(server)
      await listenOn(server, listen)
      if (listen.kind === 'unix') await openSocketTo(listen.path, settings.group)
      // Whatever happens to the listening socket later must not end the process: its messages are behind the door.
      server.on('error', (error) => log('error', `relay: ${addressOf(listen)}: ${error.message}`))
    }
  } catch (error) {
    await close()
    throw error
  }
  return { beginDrain: () => waiting.beginDrain(), close }
}

const guardOf = (listen: RelayListen, { token }: RelaySettings): Guard | null => {
  if (listen.kind === 'unix') return null
  if (token !== null) return tcpGuard({ host: listen.host, port: listen.port, token })
  throw new ForksafeError(
    'FORKSAFE_ERR_RELAY_OPTIONS',
    `relay: ${addressOf(listen)} is open to every process of this machine and needs a token; give one with --token-file`,
  )
}

const serverOf = (requests: Requests, crowd: Crowd, guard: Guard | null, limits: IngressLimits): Server => {
  const server = createServer({
    headersTimeout: limits.headers,
    requestTimeout: limits.request,
    connectionsCheckingInterval: limits.checking,
    keepAliveTimeout: limits.keepAlive,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Answered by us, with a body.
    requireHostHeader: false,
  })
  server.timeout = SILENCE
  // A caller that says early that it sends no more is answered all the same. Not in Node's documentation, nor its types.
  Reflect.set(server, 'httpAllowHalfOpen', true)
  const unanswered = new Unanswered((socket) => crowd.rests(socket))
  const onRequest =
    (isToContinue: boolean) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      const { socket } = request
      crowd.admit(socket, (isAdmitted) => {
        if (isAdmitted) {
          unanswered.add(socket, response)
          requests.answer(request, response, guard, isToContinue)
        } else if (socket.writable) {
          response.shouldKeepAlive = false
          answerProblem(response, crowd.refusal())
        }
      })
    }
  server.on('request', onRequest(false))
  server.on('checkContinue', onRequest(true))
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const detail = 'no expectation but 100-continue is known'
    answerProblem(response, guard?.(request) ?? problem(417, 'FORKSAFE_ERR_RELAY_REQUEST', detail))
  })
  server.on('connection', (socket: Socket) => crowd.enter(socket))
  refuseBroken(server, unanswered)
  return server
}

const answerProblem = (response: ServerResponse, why: Problem): void => {
  const { headers, body } = problemAnswer(why)
  response.writeHead(why.status, headers)
  response.end(body)
}

const listenOn = (server: Server, listen: RelayListen): Promise<void> =>
  new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(
        new ForksafeError(
          'FORKSAFE_ERR_RELAY_SOCKET',
          `relay: ${addressOf(listen)} cannot be listened on (${errnoOf(error)}); stop who does, or choose another address with --listen`,
          { details: { address: addressOf(listen) }, cause: error },
        ),
      )
    }
    server.once('error', onError)
    server.listen(
      listen.kind === 'unix'
        ? { path: listen.path, backlog: BACKLOG }
        : { host: listen.host, port: listen.port, backlog: BACKLOG },
      () => {
        server.off('error', onError)
        resolve()
      },
    )
  })

const addressOf = (listen: RelayListen): string =>
  listen.kind === 'unix' ? `unix:${listen.path}` : `${listen.host}:${listen.port}`

const closeServer = async (server: Server): Promise<void> => {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT)
  await closed
  clearTimeout(timer)
}
