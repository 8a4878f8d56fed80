// One request over a control socket, with bounds on every wait, and its failures as coded errors.
// What is asked and what the answers mean: src/control/client.ts.

import { type IncomingMessage, request } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { errnoOf } from '../shared/config-file.js'
import { formatDuration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { VERSION } from '../shared/version.js'
import { VERSION_HEADER } from './wire.js'

/** A supervisor by the name that people use and the socket that it listens on. */
export interface ControlTarget {
  name: string
  socketPath: string
}

export interface ExchangeTiming {
  /** Bound on connecting and the head of the answer. */
  firstByte: number
  /** Bound on the silence between two pieces of an answer. */
  idle: number
}

export interface Exchange {
  method: 'GET' | 'POST' | 'PUT'
  path: string
  body?: unknown
  signal?: AbortSignal | undefined
}

/** Longest line and longest whole answer that is read, in characters. */
const MAX_ANSWER = 16 * 1024 * 1024

/**
 * Sends a request and gives each piece of the answer's body to `onText`; settles at its end.
 *
 * @param onVersion told which version answers, as soon as its head has come.
 *
 * An abort by `signal` ends the exchange and is no error.
 *
 * @throws FORKSAFE_ERR_NOT_RUNNING: nobody listens, or the supervisor ended before it had answered.
 * @throws FORKSAFE_ERR_CONTROL_TIMEOUT: no answer within `timing`.
 * @throws FORKSAFE_ERR_CONTROL_REFUSED: not allowed to connect, or an answer that is not 2xx.
 */
export const exchange = (
  target: ControlTarget,
  { method, path, body, signal }: Exchange,
  timing: ExchangeTiming,
  onText: (text: string) => void,
  onVersion: (version: string) => void = () => {},
): Promise<void> =>
  new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const outgoing = request({
      socketPath: target.socketPath,
      method,
      path,
      agent: false,
      headers:
        payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    })
    let isSettled = false
    let timesHeard = 0
    // A turn of grace: after this process itself was stopped or blocked, an answer may be waiting to be read.
    const giveUpAfter = (limit: number): NodeJS.Timeout =>
      setTimeout(() => {
        const before = timesHeard
        setImmediate(() => {
          if (timesHeard === before) settle(tooSlow(target, limit))
        })
      }, limit)
    let timer = giveUpAfter(timing.firstByte)
    const settle = (error?: Error): void => {
      isSettled = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      outgoing.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => settle()
    const heard = (): void => {
      if (isSettled) return
      timesHeard++
      clearTimeout(timer)
      timer = giveUpAfter(timing.idle)
    }
    outgoing.on('error', (error) => settle(connectFailure(target, error)))
    outgoing.on('response', (response) => {
      heard()
      const version = response.headers[VERSION_HEADER]
      if (typeof version === 'string') onVersion(version)
      readText(response, onTextOrRefusal(target, response, onText), heard, (error) => {
        settle(error === undefined ? undefined : ended(target, error))
      })
    })
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    else outgoing.end(payload)
  })

/** Splits what `exchange` reads into lines of JSON. */
export const jsonLines = (
  target: ControlTarget,
  onLine: (line: unknown) => void,
): ((text: string) => void) => {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_ANSWER) throw malformed(target)
    for (const line of lines) if (line !== '') onLine(parseAnswer(target, line))
  }
}

export const parseAnswer = (target: ControlTarget, text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed(target)
  }
}

export const malformed = (target: ControlTarget): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_CONTROL_REFUSED',
    `supervisor ${target.name} gave an answer that this version (${VERSION}) does not understand; use the version that runs`,
    { details: { name: target.name } },
  )

const readText = (
  response: IncomingMessage,
  onText: { push: (text: string) => void; end: () => void },
  heard: () => void,
  done: (error?: Error) => void,
): void => {
  const decoder = new StringDecoder('utf8')
  const guarded = (act: () => void): void => {
    try {
      act()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }
  response.on('data', (chunk: Buffer) => {
    heard()
    guarded(() => onText.push(decoder.write(chunk)))
  })
  response.on('end', () => {
    guarded(() => {
      onText.end()
      done()
    })
  })
  response.on('error', (error) => done(error))
}

const onTextOrRefusal = (
  target: ControlTarget,
  { statusCode = 0, headers }: IncomingMessage,
  onText: (text: string) => void,
): { push: (text: string) => void; end: () => void } => {
  if (statusCode >= 200 && statusCode < 300) return { push: onText, end: () => {} }
  let text = ''
  return {
    push: (piece) => {
      if (text.length < MAX_ANSWER) text += piece
    },
    end: () => {
      throw refused(target, statusCode, String(headers[VERSION_HEADER] ?? 'of an unknown version'), text)
    },
  }
}

const refused = (target: ControlTarget, status: number, version: string, text: string): ForksafeError => {
  let why = `HTTP ${status}`
  try {
    const problem: unknown = JSON.parse(text)
    if (typeof problem === 'object' && problem !== null && 'message' in problem) why = String(problem.message)
  } catch {
    // Not one of our answers; the status says enough.
  }
  const versions = version === VERSION ? '' : ` (it is ${version}, this command ${VERSION})`
  return new ForksafeError(
    'FORKSAFE_ERR_CONTROL_REFUSED',
    `supervisor ${target.name} refused: ${why}${versions}`,
    {
      details: { name: target.name, status },
    },
  )
}

const tooSlow = ({ name, socketPath }: ControlTarget, limit: number): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_CONTROL_TIMEOUT',
    `supervisor ${name} did not answer within ${formatDuration(limit)} on ${socketPath}; it may be stopped or overloaded`,
    { details: { name, limit } },
  )

const connectFailure = (target: ControlTarget, error: Error): ForksafeError => {
  const { name, socketPath } = target
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return notRunning(target, error)
    case 'EACCES':
    case 'EPERM':
      return new ForksafeError(
        'FORKSAFE_ERR_CONTROL_REFUSED',
        `supervisor ${name}: no permission to open ${socketPath} (${errnoOf(error)}); run as the user who started it`,
        { details: { name }, cause: error },
      )
    case 'EAGAIN':
      return new ForksafeError(
        'FORKSAFE_ERR_CONTROL_TIMEOUT',
        `supervisor ${name} takes no more requests on ${socketPath}; it may be stopped or overloaded`,
        { details: { name }, cause: error },
      )
    default:
      return ended(target, error)
  }
}

const notRunning = ({ name, socketPath }: ControlTarget, cause: Error): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_NOT_RUNNING',
    `no supervisor named ${name} is running (nobody listens on ${socketPath}); start it with 'supervisor start'`,
    { details: { name }, cause },
  )

const ended = ({ name }: ControlTarget, error: Error): ForksafeError =>
  error instanceof ForksafeError
    ? error
    : new ForksafeError(
        'FORKSAFE_ERR_NOT_RUNNING',
        `supervisor ${name} ended the connection before it had answered (${errnoOf(error)})`,
        { details: { name }, cause: error },
      )
