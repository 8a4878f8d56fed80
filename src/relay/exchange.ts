// One request of a caller to its relay, sent again where that can help and do no harm: the relay knows a repetition by
// its id. Connections are kept for the next one, and keep no process alive. What is asked: publish-options.ts.

import { Agent, request } from 'node:http'
import { errnoOf } from '../shared/config-file.js'
import { formatDuration } from '../shared/duration.js'
import { ERROR_CODES, type ErrorCode, ForksafeError } from '../shared/errors.js'
import { outsideRequests } from '../shared/request-context.js'
import type { RelayTarget } from './find-relay.js'
import type { RelayRequest } from './publish-options.js'

interface Answer {
  status: number
  /** Seconds, from Retry-After. */
  retryAfter: number | null
  body: unknown
}

const MAX_ANSWER = 16 * 1024 * 1024
const FIRST_PAUSE = 25
const MAX_PAUSE = 1_000
/** Nobody listens now, or whoever did has gone: a restart looks like that. EAGAIN: more connect than it can take in. */
const PASSING = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'EAGAIN'])

/**
 * @returns the JSON of an answer that is 2xx.
 * @throws FORKSAFE_ERR_RELAY_UNREACHABLE, FORKSAFE_ERR_RELAY_TIMEOUT, FORKSAFE_ERR_RELAY_ABORTED,
 *   FORKSAFE_ERR_RELAY_DENIED, or the code of the refusal.
 */
export const exchange = async (asked: RelayRequest): Promise<unknown> => {
  const deadline = performance.now() + asked.timeout
  for (let attempt = 0; ; attempt++) {
    if (asked.signal?.aborted) throw aborted(asked)
    let failure: ForksafeError
    let pause = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** attempt) * (0.5 + Math.random() / 2)
    try {
      const answer = await ask(asked, deadline)
      if (answer.status >= 200 && answer.status < 300) return answer.body
      failure = refusalOf(asked, answer)
      if (answer.status !== 503 || answer.retryAfter === null) throw failure
      pause = answer.retryAfter * 1_000
    } catch (error) {
      if (error instanceof ForksafeError) throw error
      if (!PASSING.has(errnoOf(error))) throw unreachable(asked, error)
      failure = unreachable(asked, error)
    }
    if (performance.now() + pause >= deadline) throw failure
    await sleep(pause, asked)
  }
}

const agents = new Map<string, Agent>()
const MAX_AGENTS = 16
const MAX_IDLE = 8
const MAX_OPEN = 64

/** Sockets that wait for their next use keep no process alive: Node's agent sees to that. */
const agentOf = (target: RelayTarget): Agent => {
  const key = target.kind === 'unix' ? target.path : target.url
  const known = agents.get(key)
  if (known !== undefined) return known
  for (const [other, agent] of agents) {
    if (agents.size < MAX_AGENTS) break
    agent.destroy()
    agents.delete(other)
  }
  const agent = new Agent({
    keepAlive: true,
    maxFreeSockets: MAX_IDLE,
    maxSockets: MAX_OPEN,
    scheduling: 'lifo',
  })
  agents.set(key, agent)
  return agent
}

/** Rejects with Node's own error where the connection failed, and with ours where time or patience ran out. */
const ask = (asked: RelayRequest, deadline: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { target, path, headers, body, signal } = asked
    const where =
      target.kind === 'unix'
        ? { socketPath: target.path, headers: { Host: 'localhost', ...headers } }
        : { ...hostAndPort(target.url), headers: { ...headers, Authorization: `Bearer ${target.token}` } }
    // Of no request: a connection that is kept serves others after it.
    const outgoing = outsideRequests(null, () =>
      request({
        ...where,
        method: 'POST',
        path,
        agent: agentOf(target),
        headers: { ...where.headers, 'Content-Length': body.length },
      }),
    )
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const giveUp = (error: ForksafeError): void =>
      settle(() => {
        reject(error)
        outgoing.destroy()
      })
    const onAbort = (): void => giveUp(aborted(asked))
    const timer = setTimeout(() => giveUp(tooSlow(asked)), Math.max(1, deadline - performance.now()))
    signal?.addEventListener('abort', onAbort, { once: true })
    outgoing.on('error', (error) => settle(() => reject(error)))
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length <= MAX_ANSWER) chunks.push(chunk)
        else response.destroy()
      })
      response.on('error', (error) => settle(() => reject(error)))
      response.on('end', () =>
        settle(() =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: secondsIn(response.headers['retry-after']),
            body: parse(Buffer.concat(chunks, length).toString('utf8')),
          }),
        ),
      )
    })
    outgoing.end(body)
  })

const hostAndPort = (url: string): { host: string; port: string } => {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port || '80' }
}

const secondsIn = (header: string | undefined): number | null =>
  header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) : null

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const sleep = (ms: number, asked: RelayRequest): Promise<void> =>
  new Promise((resolve, reject) => {
    const { signal } = asked
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(aborted(asked))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })

const refusalOf = (asked: RelayRequest, { status, retryAfter, body }: Answer): ForksafeError => {
  const { code, detail } = isObject(body) ? body : {}
  if (!isCode(code)) {
    const text = `${placeOf(asked)} answered HTTP ${status} and not like a relay; see who listens there`
    return new ForksafeError('FORKSAFE_ERR_RELAY_REQUEST', text, { details: { ...aboutOf(asked), status } })
  }
  return new ForksafeError(code, `${placeOf(asked)}: ${String(detail)}`, {
    details: { ...aboutOf(asked), status, ...(retryAfter === null ? {} : { retryAfter }) },
  })
}

const unreachable = (asked: RelayRequest, cause: unknown): ForksafeError => {
  const errno = errnoOf(cause)
  const place = placeOf(asked)
  if (errno === 'EACCES' || errno === 'EPERM') {
    const text = `${place}: this user may not open it (${errno}); run as a user of its group, or start the relay with --group`
    return new ForksafeError('FORKSAFE_ERR_RELAY_DENIED', text, { details: aboutOf(asked), cause })
  }
  const text =
    errno === 'ENOENT' || errno === 'ECONNREFUSED'
      ? `${place}: no relay listens there; start it with 'supervisor relay', or name another one with --name, --socket or FORKSAFE_RELAY`
      : `${place}: the relay went away before it had answered (${errno}); send it again with the same id`
  return new ForksafeError('FORKSAFE_ERR_RELAY_UNREACHABLE', text, { details: aboutOf(asked), cause })
}

const tooSlow = (asked: RelayRequest): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_RELAY_TIMEOUT',
    `${placeOf(asked)}: no answer within ${formatDuration(asked.timeout)}; it may have taken the message: send it again with the same id`,
    { details: { ...aboutOf(asked), timeout: asked.timeout } },
  )

const aborted = (asked: RelayRequest): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_RELAY_ABORTED',
    `${placeOf(asked)}: aborted by its caller; the relay may have taken the message`,
    { details: aboutOf(asked), cause: asked.signal?.reason },
  )

const placeOf = ({ target }: RelayRequest): string =>
  `relay ${target.kind === 'unix' ? target.path : target.url}`

const aboutOf = ({ path, id }: RelayRequest): { path: string; id?: string } =>
  id === null ? { path } : { path, id }

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && code.startsWith('FORKSAFE_ERR_RELAY_') && Object.hasOwn(ERROR_CODES, code)
