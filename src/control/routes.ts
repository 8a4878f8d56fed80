// What each path of the control socket does. How requests come in and what becomes of broken ones: src/control/server.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Controllable } from '../primary/controllable.js'
import { messageOf } from '../shared/errors.js'
import { isLogLevel, LOG_LEVELS } from '../shared/log-level.js'
import { processIdentity } from '../shared/process-identity.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import { MAX_WORKERS } from '../shared/settings.js'
import { sendAudit } from './audit-answer.js'
import { LineResponse } from './line-response.js'
import { Refusal } from './refusal.js'
import { readBody } from './request-body.js'
import {
  type ControlTiming,
  type LogLevelAnswer,
  PATHS,
  type PortCount,
  type SupervisorIdentity,
  type VersionAnswer,
} from './wire.js'

export interface RouteContext {
  supervisor: Controllable
  identity: SupervisorIdentity
  timing: ControlTiming
  /** Log streams that only end when told to; each call ends one. */
  followers: Set<() => void>
}

/**
 * Answers a request.
 *
 * @throws Refusal: unknown path, wrong method, bad query or body; nothing was done.
 */
export const answerRequest = async (
  request: IncomingMessage,
  response: ServerResponse,
  context: RouteContext,
): Promise<void> => {
  const url = parseUrl(request.url ?? '/')
  const methods = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : undefined
  if (methods === undefined) {
    const known = Object.values(PATHS).join(', ')
    throw new Refusal(
      404,
      `there is no ${url.pathname.slice(0, 64)} in ${context.identity.version}; there is ${known}`,
    )
  }
  const method = request.method ?? ''
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (handler === undefined) {
    const allow = Object.keys(methods).join(', ')
    throw new Refusal(405, `${url.pathname} does not take ${method}; it takes ${allow}`, allow)
  }
  await handler({ request, response, url, ...context })
}

type Handler = (
  call: RouteContext & { request: IncomingMessage; response: ServerResponse; url: URL },
) => Promise<void>

const ROUTES: Record<string, Record<string, Handler>> = {
  [PATHS.version]: {
    GET: async ({ response, identity }) => {
      const { startTime } = processIdentity(identity.pid)
      sendJson(response, 200, { ...identity, startTime } satisfies VersionAnswer)
    },
  },
  [PATHS.status]: {
    GET: async ({ response, supervisor }) => sendJson(response, 200, await supervisor.status()),
  },
  [PATHS.audit]: {
    GET: async ({ response, url, supervisor }) => {
      const isWhole = isTrue('sockets', url.searchParams.get('sockets'))
      await sendAudit(response, await supervisor.audits.audit(), isWhole)
    },
  },
  [PATHS.auditCount]: {
    GET: async ({ response, url, supervisor }) => {
      const port = portIn(url.searchParams.get('port'))
      sendJson(response, 200, { port, count: await supervisor.audits.count(port) } satisfies PortCount)
    },
  },
  [PATHS.started]: {
    GET: async ({ response, supervisor, timing }) =>
      streamOperation(response, timing, (tell) => supervisor.untilStarted(tell)),
  },
  [PATHS.reload]: {
    POST: async ({ request, response, supervisor, timing }) => {
      await readBody(request, [])
      if (!(await isStillThere(request))) return
      await streamOperation(response, timing, (tell) => supervisor.reload(tell))
    },
  },
  [PATHS.restart]: {
    POST: async ({ request, response, supervisor, timing }) => {
      await readBody(request, [])
      if (!(await isStillThere(request))) return
      await streamOperation(response, timing, (tell) => supervisor.restart(tell))
    },
  },
  [PATHS.scale]: {
    POST: async ({ request, response, supervisor, timing }) => {
      const workers = workersIn(await readBody(request, ['workers', 'by']))
      if (!(await isStillThere(request))) return
      await streamOperation(response, timing, (tell) => supervisor.scale(workers, tell))
    },
  },
  [PATHS.handoff]: {
    POST: async ({ request, response, supervisor, timing }) => {
      const { client, slot } = handoffIn(await readBody(request, ['client', 'slot']))
      if (!(await isStillThere(request))) return
      await streamOperation(response, timing, () => supervisor.handOff(client, slot))
    },
  },
  [PATHS.stop]: {
    POST: async ({ request, response, supervisor, timing }) => {
      const { now = false } = await readBody(request, ['now'])
      if (typeof now !== 'boolean') throw new Refusal(400, 'now is not true or false')
      if (!(await isStillThere(request))) return
      const reason = now ? 'supervisor stop --now' : 'supervisor stop'
      await streamOperation(response, timing, (tell) => supervisor.stop({ now, reason }, tell))
    },
  },
  [PATHS.logLevel]: {
    GET: async ({ response, supervisor }) => sendLogLevel(response, supervisor),
    PUT: async ({ request, response, supervisor }) => {
      const { level } = await readBody(request, ['level'])
      if (!isLogLevel(level)) throw new Refusal(400, `level is not one of ${LOG_LEVELS.join(', ')}`)
      if (!(await isStillThere(request))) return
      supervisor.logLevel = level
      sendLogLevel(response, supervisor)
    },
  },
  [PATHS.logs]: {
    GET: async ({ response, url, supervisor, timing, followers }) => {
      const count = lineCount(url.searchParams.get('lines'))
      const isFollowing = isTrue('follow', url.searchParams.get('follow'))
      const stream = new LineResponse(response, timing.alive)
      for (const line of supervisor.logs.last(count))
        stream.write({ event: 'line', ...line }, { isBounded: true })
      if (!isFollowing) return stream.end({ event: 'end' })
      const unfollow = supervisor.logs.follow((line) => stream.write({ event: 'line', ...line }))
      const end = (): void => stream.end({ event: 'end' })
      followers.add(end)
      response.on('close', () => {
        unfollow()
        followers.delete(end)
      })
    },
  },
}

const sendLogLevel = (response: ServerResponse, { logLevel: level }: Controllable): void =>
  sendJson(response, 200, { level } satisfies LogLevelAnswer)

/**
 * False for a client that gave up before its request was read, because this process was stopped or blocked: it was told
 * that nobody answered, and must not be surprised later. Its end arrives right behind its request.
 */
const isStillThere = async ({ socket }: IncomingMessage): Promise<boolean> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  return !socket.destroyed && !socket.readableEnded
}

/** The operation goes on and ends as it would, whether or not somebody still listens. */
const streamOperation = async (
  response: ServerResponse,
  timing: ControlTiming,
  run: (tell: (progress: Progress) => void) => Promise<OperationResult>,
): Promise<void> => {
  const stream = new LineResponse(response, timing.alive)
  try {
    stream.end({ event: 'result', ...(await run((progress) => stream.write(progress))) })
  } catch (error) {
    const message = `unexpected: ${messageOf(error)}`
    stream.end({ event: 'result', ok: false, exitCode: 1, message, generation: 0, failures: [] })
  }
}

export const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  response.end(text)
}

const parseUrl = (raw: string): URL => {
  try {
    return new URL(raw, 'http://supervisor')
  } catch {
    throw new Refusal(400, 'the request target is not a path')
  }
}

/** `workers`: how many; `by`: how many more, or fewer. */
const workersIn = ({ workers, by }: Record<string, unknown>): number | { by: number } => {
  if ((workers === undefined) === (by === undefined))
    throw new Refusal(400, 'one of workers and by is needed')
  if (isWithin(workers, 1, MAX_WORKERS)) return workers
  if (isWithin(by, -MAX_WORKERS, MAX_WORKERS)) return { by }
  throw new Refusal(400, `workers is not a whole number from 1 to ${MAX_WORKERS}, nor by one up to that`)
}

const handoffIn = ({
  client,
  slot = null,
}: Record<string, unknown>): { client: string; slot: number | null } => {
  if (typeof client !== 'string' || client === '' || client.length > MAX_NAME)
    throw new Refusal(400, `client is not a name of 1 to ${MAX_NAME} characters`)
  if (slot !== null && !isWithin(slot, 0, MAX_WORKERS - 1))
    throw new Refusal(400, `slot is not a whole number from 0 to ${MAX_WORKERS - 1}`)
  return { client, slot }
}

const MAX_NAME = 200

const isWithin = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max

const DEFAULT_LINES = 100
const MAX_LINES = 10_000

const lineCount = (raw: string | null): number => {
  if (raw === null) return DEFAULT_LINES
  const count = /^\d{1,5}$/.test(raw) ? Number(raw) : Number.NaN
  if (!(count <= MAX_LINES)) throw new Refusal(400, `lines is not a whole number from 0 to ${MAX_LINES}`)
  return count
}

const portIn = (raw: string | null): number => {
  const port = raw !== null && /^\d{1,5}$/.test(raw) ? Number(raw) : Number.NaN
  if (!(port >= 1 && port <= 65_535)) throw new Refusal(400, 'port is not a whole number from 1 to 65535')
  return port
}

const isTrue = (name: string, raw: string | null): boolean => {
  if (raw === null || raw === 'false') return false
  if (raw === 'true' || raw === '') return true
  throw new Refusal(400, `${name} is not true or false`)
}
