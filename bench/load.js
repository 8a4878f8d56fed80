// A load generator that never retries: what fails, failed, and it says how. Several kinds of clients at once, over
// HTTP/1.1 with Node's own client, so that a failure here is one that a user's Node service would have seen.
//
// It knows nothing of supervisors; bench/reload.js and tests (test/support/load.ts) run it against them.
import { Agent, request as httpRequest } from 'node:http'

/**
 * @typedef {'keepalive' | 'close' | 'slow' | 'slowReused'} LoadKind
 *   keepalive: short requests on connections that stay, with a small pause.
 *   close: short requests, `Connection: close`, a connection each.
 *   slow: slow requests, a connection each.
 *   slowReused: slow requests on connections that stay.
 */

/**
 * @typedef {object} LoadOptions
 * @property {number} port
 * @property {string} [host]  Default 127.0.0.1.
 * @property {Partial<Record<LoadKind, number>>} [clients]  How many of each kind; each has one request in flight.
 * @property {string} [path]  Of short requests. Default `/`.
 * @property {string} [slowPath]  Of slow requests. Default `/slow?ms=300`.
 * @property {number} [pause]  ms between the requests of a keepalive client. Default 5.
 * @property {number} [timeout]  ms for one whole request; past it counts as a lost hand-off. Default 3000.
 * @property {(body: string) => boolean} [isExpected]  Whether an answer's body is right. Default: any.
 */

/**
 * @typedef {object} LoadFailure
 * @property {number} at  Unix ms.
 * @property {LoadKind} load
 * @property {string} kind  ECONNRESET, `socket hang up`, ECONNREFUSED, TIMEOUT, `status 503`, TRUNCATED, `unexpected body`, …
 * @property {boolean} reused  Whether the connection had served a request before.
 * @property {number} ms  From the start of the request to its failure.
 * @property {string} message
 */

/**
 * @typedef {object} LoadResult
 * @property {number} requests  Finished, failed ones included; none is in flight any more.
 * @property {number} failed
 * @property {Record<string, number>} byKind  Failures by kind.
 * @property {number} failedOnReused
 * @property {Record<LoadKind, { requests: number, failed: number, slowestMs: number }>} byLoad
 * @property {Record<string, number>} answers  How often each short body (a pid, a release) was answered.
 * @property {LoadFailure[]} firstFailures  At most 20.
 * @property {number} seconds
 */

/** @type {LoadKind[]} */
const KINDS = ['keepalive', 'close', 'slow', 'slowReused']
/** @type {Record<LoadKind, number>} */
export const MIXED_CLIENTS = { keepalive: 20, close: 10, slow: 10, slowReused: 10 }
const DEFAULT_TIMEOUT = 3_000
const MOST_FAILURES_KEPT = 20
const LONGEST_BODY_COUNTED = 64
const MOST_BODIES_COUNTED = 1_000

/** Load that is running. */
export class Load {
  /** @type {Required<LoadOptions>} */
  #options
  #agents = {
    keepalive: new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }),
    slowReused: new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }),
    close: new Agent({ keepAlive: false }),
    slow: new Agent({ keepAlive: false }),
  }
  #startedAt = performance.now()
  #stopping = false
  /** @type {Promise<void>[]} */
  #clients
  /** @type {LoadResult} */
  #result = {
    requests: 0,
    failed: 0,
    byKind: {},
    failedOnReused: 0,
    byLoad: {
      keepalive: { requests: 0, failed: 0, slowestMs: 0 },
      close: { requests: 0, failed: 0, slowestMs: 0 },
      slow: { requests: 0, failed: 0, slowestMs: 0 },
      slowReused: { requests: 0, failed: 0, slowestMs: 0 },
    },
    answers: {},
    firstFailures: [],
    seconds: 0,
  }
  /** @type {{ count: number, resolve: () => void }[]} */
  #waiting = []

  /** @param {LoadOptions} options */
  constructor(options) {
    this.#options = {
      host: '127.0.0.1',
      clients: MIXED_CLIENTS,
      path: '/',
      slowPath: '/slow?ms=300',
      pause: 5,
      timeout: DEFAULT_TIMEOUT,
      isExpected: () => true,
      ...options,
    }
    this.#clients = KINDS.flatMap((kind) =>
      Array.from({ length: this.#options.clients[kind] ?? 0 }, () => this.#runClient(kind)),
    )
  }

  /** Figures so far; the same object as the result. */
  get result() {
    this.#result.seconds = (performance.now() - this.#startedAt) / 1000
    return this.#result
  }

  /** Settles when that many requests have finished, counted from the start. @param {number} count @returns {Promise<void>} */
  finished(count) {
    if (this.#result.requests >= count) return Promise.resolve()
    return new Promise((resolve) => void this.#waiting.push({ count, resolve }))
  }

  /** Starts no more requests, waits for those in flight and closes the connections. @returns {Promise<LoadResult>} */
  async stop() {
    this.#stopping = true
    await Promise.all(this.#clients)
    for (const agent of Object.values(this.#agents)) agent.destroy()
    return this.result
  }

  /** One client: one request after the other. @param {LoadKind} kind */
  async #runClient(kind) {
    const { pause } = this.#options
    while (!this.#stopping) {
      await this.#request(kind)
      if (kind === 'keepalive' && pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  /** @param {LoadKind} kind @returns {Promise<void>} */
  #request(kind) {
    const { host, port, path, slowPath, timeout } = this.#options
    const isSlow = kind === 'slow' || kind === 'slowReused'
    const agent = this.#agents[kind]
    const begun = performance.now()
    return new Promise((resolve) => {
      let isOver = false
      const request = httpRequest({ host, port, path: isSlow ? slowPath : path, agent })
      /** @param {string | null} failure @param {string} text A body, or the message of a failure. */
      const finish = (failure, text) => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        const ms = performance.now() - begun
        this.#count({
          at: Date.now(),
          load: kind,
          kind: failure ?? '',
          reused: request.reusedSocket,
          ms,
          message: text,
        })
        resolve()
      }
      const timer = setTimeout(() => {
        finish('TIMEOUT', `no whole answer within ${timeout} ms: a lost hand-off?`)
        request.destroy()
      }, timeout)
      request.on('error', (error) => finish(kindOf(error), error.message))
      request.on('response', (response) => {
        let body = ''
        response.setEncoding('latin1')
        response.on('data', (/** @type {string} */ chunk) => {
          body += chunk
        })
        response.on('error', (error) => finish('TRUNCATED', error.message))
        response.on('close', () => {
          const status = response.statusCode ?? 0
          if (!response.complete)
            finish('TRUNCATED', `the answer ended after ${body.length} characters of body`)
          else if (status < 200 || status > 299)
            finish(`status ${status}`, body.slice(0, LONGEST_BODY_COUNTED))
          else if (!this.#options.isExpected(body))
            finish('unexpected body', body.slice(0, LONGEST_BODY_COUNTED))
          else finish(null, body)
        })
      })
      request.end()
    })
  }

  /** @param {LoadFailure} outcome `kind` is empty for a request that succeeded, and `message` its body. */
  #count(outcome) {
    const { load, kind, ms, reused, message } = outcome
    const all = this.#result
    const own = all.byLoad[load]
    all.requests += 1
    own.requests += 1
    own.slowestMs = Math.max(own.slowestMs, ms)
    if (kind === '') this.#countAnswer(message)
    else {
      all.failed += 1
      own.failed += 1
      all.byKind[kind] = (all.byKind[kind] ?? 0) + 1
      if (reused) all.failedOnReused += 1
      if (all.firstFailures.length < MOST_FAILURES_KEPT) all.firstFailures.push(outcome)
    }
    if (this.#waiting.length > 0) this.#wake()
  }

  /** @param {string} body */
  #countAnswer(body) {
    const { answers } = this.#result
    if (body.length > LONGEST_BODY_COUNTED) return
    if (!Object.hasOwn(answers, body) && Object.keys(answers).length >= MOST_BODIES_COUNTED) return
    answers[body] = (answers[body] ?? 0) + 1
  }

  #wake() {
    const due = this.#waiting.filter(({ count }) => count <= this.#result.requests)
    this.#waiting = this.#waiting.filter(({ count }) => count > this.#result.requests)
    for (const { resolve } of due) resolve()
  }
}

/** Starts load at once. @param {LoadOptions} options */
export const startLoad = (options) => new Load(options)

/** Node gives `socket hang up` the code ECONNRESET too, but it is the tidy end of a connection. @param {Error} error */
const kindOf = (error) =>
  error.message === 'socket hang up' ? error.message : (Reflect.get(error, 'code') ?? error.name)
