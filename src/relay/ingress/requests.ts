// What the ingress does with a request that is complete as HTTP: checks it, hands its message to the door, answers.
// Short for the usual case: one message in one piece, without wait. Sockets and their limits: serve-ingress.ts.

import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../../shared/errors.js'
import type { LogLevel } from '../../shared/log-level.js'
import type { RelaySettings } from '../../shared/relay-settings.js'
import type { RelayDoor } from '../door.js'
import type { AppendOutcome, NewMessage } from '../messages.js'
import {
  type Answer,
  batchAnswer,
  clientsAnswer,
  fateAnswer,
  queuedAnswer,
  refusalOf,
  settledAnswer,
} from './answers.js'
import { MAX_BATCH, readBatch } from './batch-lines.js'
import { type BodyBudget, type Release, readBody } from './body.js'
import { type MessageHeaders, readMessageHeaders, refuseBatchHeaders } from './message-headers.js'
import { badRequest, later, type Problem, problem, problemAnswer } from './problem.js'
import { type Route, refuseMethod, routeOf } from './route.js'
import type { Guard } from './tcp-guard.js'
import type { Waiting } from './waiting.js'

export interface RequestParts {
  door: RelayDoor
  settings: RelaySettings
  log: (level: LogLevel, text: string) => void
  waiting: Waiting
  budget: BodyBudget
}

/** One request with all that answering it needs. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Whether the caller sends its body only after it was told to go on. */
  isToContinue: boolean
}

const DEFAULT_MAX_MESSAGE = 1024 * 1024

export class Requests {
  readonly #parts: RequestParts
  readonly #maxMessage: ReadonlyMap<string, number>
  readonly #clients: readonly string[]

  constructor(parts: RequestParts) {
    this.#parts = parts
    this.#maxMessage = new Map(parts.settings.to.map(({ name, maxMessage }) => [name, maxMessage]))
    this.#clients = parts.settings.to.map(({ name }) => name)
  }

  /** @param isToContinue whether the caller sends its body only after it was told to go on. */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    guard: Guard | null,
    isToContinue: boolean,
  ): void {
    const exchange = { request, response, isToContinue }
    try {
      this.#route(exchange, guard)
    } catch (error) {
      this.#failed(exchange, error)
    }
  }

  #route(exchange: Exchange, guard: Guard | null): void {
    const { request } = exchange
    if (request.headers.host === undefined && request.httpVersion !== '1.0')
      return refuse(exchange, badRequest('the request has no Host header; HTTP/1.1 needs one'))
    const stranger = guard === null ? null : guard(request)
    if (stranger !== null) return refuse(exchange, stranger)
    const route = routeOf(request.url ?? '')
    if ('status' in route) return refuse(exchange, route)
    const wrongMethod = refuseMethod(route, request.method)
    if (wrongMethod !== null) return refuse(exchange, wrongMethod)
    if (route.kind !== 'clients' && !this.#parts.door.has(route.client))
      return refuse(exchange, this.#unknownClient(route.client))
    this.#perform(exchange, route)
  }

  #perform(exchange: Exchange, route: Route): void {
    switch (route.kind) {
      case 'clients':
        return send(exchange, clientsAnswer(this.#clients))
      case 'fate':
        return void this.#sayFate(exchange, route.client, route.id)
      case 'message':
        return this.#takeMessage(exchange, route.client)
      case 'batch':
        return this.#takeBatch(exchange, route.client)
    }
  }

  #takeMessage(exchange: Exchange, client: string): void {
    const headers = readMessageHeaders(exchange.request.headers)
    if ('status' in headers) return refuse(exchange, headers)
    const max = this.#maxMessageOf(client)
    this.#read(exchange, max, (body, release) => {
      if (body.length === 0) return letGo(release, () => refuse(exchange, badRequest('the message is empty')))
      if (!headers.isBinary && !isUtf8(body)) return letGo(release, () => refuse(exchange, notText()))
      const message = messageFrom(headers, body)
      this.#parts.door.append(client, [message]).then(
        ([outcome]) => {
          release()
          this.#appended(exchange, client, headers.wait, outcome)
        },
        (error: unknown) => {
          release()
          this.#failed(exchange, error)
        },
      )
    })
  }

  #appended(exchange: Exchange, client: string, wait: number, outcome: AppendOutcome | undefined): void {
    if (outcome === undefined) return this.#failed(exchange, new Error('the door gave no answer'))
    if (outcome.outcome === 'conflict' || outcome.outcome === 'refused')
      return refuse(exchange, refusalOf(outcome))
    const isDuplicate = outcome.outcome === 'duplicate'
    if (outcome.outcome === 'duplicate' && outcome.fate.state !== 'queued')
      return send(exchange, settledAnswer(client, outcome.fate, wait, true))
    if (wait === 0) return send(exchange, queuedAnswer(client, outcome.id, 0, isDuplicate))
    void this.#waitAndSay(exchange, client, outcome.id, wait, isDuplicate)
  }

  async #waitAndSay(
    exchange: Exchange,
    client: string,
    id: string,
    wait: number,
    isDuplicate: boolean,
  ): Promise<void> {
    const fate = await this.#parts.waiting.fate(client, id, wait, exchange.request.socket)
    const isSettled = fate !== null && fate.state !== 'queued'
    send(
      exchange,
      isSettled
        ? settledAnswer(client, fate, wait, isDuplicate)
        : queuedAnswer(client, id, wait, isDuplicate),
    )
  }

  #takeBatch(exchange: Exchange, client: string): void {
    const wrong = refuseBatchHeaders(exchange.request.headers)
    if (wrong !== null) return refuse(exchange, wrong)
    this.#read(exchange, MAX_BATCH, (body, release) => {
      const messages = readBatch(body, this.#maxMessageOf(client), Date.now())
      if ('status' in messages) return letGo(release, () => refuse(exchange, messages))
      this.#parts.door.append(client, messages).then(
        (outcomes) => {
          release()
          const answer = batchAnswer(client, outcomes)
          if ('code' in answer) refuse(exchange, answer)
          else send(exchange, answer)
        },
        (error: unknown) => {
          release()
          this.#failed(exchange, error)
        },
      )
    })
  }

  async #sayFate(exchange: Exchange, client: string, id: string): Promise<void> {
    try {
      const fate = await this.#parts.door.fate(client, id)
      if (fate === null) refuse(exchange, unknownMessage())
      else send(exchange, fateAnswer(fate))
    } catch (error) {
      refuse(exchange, later(503, 'FORKSAFE_ERR_RELAY_UNAVAILABLE', messageOf(error)))
    }
  }

  #read(exchange: Exchange, max: number, done: (body: Buffer, release: Release) => void): void {
    const { request, response, isToContinue } = exchange
    const { budget } = this.#parts
    const goOn = (): void => {
      if (isToContinue) response.writeContinue()
    }
    readBody(
      request,
      { max, budget, goOn },
      (body, release) => {
        try {
          done(body, release)
        } catch (error) {
          release()
          this.#failed(exchange, error)
        }
      },
      (why) => refuse(exchange, why),
      // Whoever went away in the middle of a body is told nothing, and nothing was taken.
      () => {},
    )
  }

  #maxMessageOf(client: string): number {
    return this.#maxMessage.get(client) ?? DEFAULT_MAX_MESSAGE
  }

  #unknownClient(client: string): Problem {
    return problem(
      404,
      'FORKSAFE_ERR_RELAY_UNKNOWN_CLIENT',
      `there is no client ${client}; there is ${this.#clients.join(', ')}`,
    )
  }

  #failed(exchange: Exchange, error: unknown): void {
    this.#parts.log('error', `relay: a request failed unexpectedly: ${messageOf(error)}`)
    refuse(exchange, {
      ...later(500, 'FORKSAFE_ERR_RELAY_UNAVAILABLE', 'the relay failed unexpectedly; its log says how'),
    })
  }
}

const messageFrom = ({ id, key, ttl, isBinary }: MessageHeaders, body: Buffer): NewMessage => ({
  id: id ?? randomUUID(),
  key,
  isBinary,
  expiresAt: ttl === null ? null : Date.now() + ttl * 1_000,
  body,
})

const letGo = (release: Release, act: () => void): void => {
  release()
  act()
}

const notText = (): Problem =>
  badRequest('the message is not valid UTF-8; send other bytes as application/octet-stream')

const unknownMessage = (): Problem =>
  problem(404, 'FORKSAFE_ERR_RELAY_UNKNOWN_MESSAGE', 'no message of this id is known, or not any more')

const send = ({ response }: Exchange, { status, headers, body }: Answer): void => {
  if (response.destroyed || response.headersSent) return
  headers.push('Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body)))
  response.writeHead(status, headers)
  response.end(body)
}

const refuse = ({ request, response, isToContinue }: Exchange, why: Problem): void => {
  if (response.destroyed || response.headersSent) return
  // Its body will not come: what comes next on this connection must not be taken for it.
  if (isToContinue && !request.complete) response.shouldKeepAlive = false
  const { headers, body } = problemAnswer(why)
  response.writeHead(why.status, headers)
  response.end(body)
}
