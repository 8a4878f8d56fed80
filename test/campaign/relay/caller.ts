// One short-lived caller of a round, again and again: numbered messages of one key over the relay's socket, by a kept
// connection or by a new one each, singly or in batches. What it does not know to be accepted it hands in again under the
// same id; only what the spool itself refused it may give up.

import { Agent, request } from 'node:http'
import type { Random } from '../random.js'
import { sleep } from '../sleep.js'
import type { Published } from './judge.js'

export interface CallerOptions {
  key: string
  socketPath: string
  random: Random
  batches: number
  pause: number
  /** Of all callers of a round. */
  tick: () => number
}

/** Longer than the relay waits for an owner (ms). */
const ANSWER_BOUND = 20_000
const RETRY_PAUSE = 60
const BY_THE_SPOOL: readonly string[] = [
  'FORKSAFE_ERR_RELAY_FULL',
  'FORKSAFE_ERR_RELAY_DISK_FULL',
  'FORKSAFE_ERR_RELAY_DISK',
]

interface Answer {
  status: number
  body: Record<string, unknown>
}

export class Caller {
  readonly published: Published[] = []
  /** How calls ended, counted. */
  readonly counts = new Map<string, number>()
  /** What no relay may answer to this caller. */
  readonly complaints: string[] = []
  readonly #options: CallerOptions
  readonly #kept: Agent | null
  #isEnough = false
  #isGivenUp = false

  constructor(options: CallerOptions) {
    this.#options = options
    this.#kept = options.random.chance(0.5) ? new Agent({ keepAlive: true, maxSockets: 1 }) : null
  }

  /** Settles when it was told to finish, and all that it handed in is accepted or given up. */
  async run(): Promise<void> {
    const { random, batches, pause } = this.#options
    while (!this.#isEnough) {
      await sleep(random.int(0, pause))
      const count = random.chance(batches) ? random.int(2, 20) : 1
      await this.#publish(Array.from({ length: count }, () => this.#next()))
    }
    this.#kept?.destroy()
  }

  finish(): void {
    this.#isEnough = true
  }

  /** Of a round that cannot be played to its end. */
  abandon(): void {
    this.#isEnough = true
    this.#isGivenUp = true
    this.#kept?.destroy()
  }

  #next(): Published {
    const { key, tick } = this.#options
    const message = {
      key,
      number: this.published.length + 1,
      begun: tick(),
      accepted: null,
      isRefused: false,
    }
    this.published.push(message)
    return message
  }

  /** Until all are accepted, in their order as far as it is in the hand of a caller. */
  async #publish(messages: readonly Published[]): Promise<void> {
    const { tick, random } = this.#options
    let left = [...messages]
    let isDoubtful = false
    while (left.length > 0 && !this.#isGivenUp) {
      const isSingle = left.length === 1
      const answer = await (isSingle ? this.#single(left) : this.#batch(left)).catch(
        (error: Error & { code?: string }) => {
          this.#count(error.code ?? error.message)
          return null
        },
      )
      const results = answer === null ? null : resultsOf(answer, left.length)
      if (answer !== null && results === null && answer.status < 500 && answer.status !== 408)
        this.complaints.push(`${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`)
      const now = tick()
      const codes = left.map((message, at) => {
        const code = results?.[at]
        if (code === null) message.accepted ??= now
        return code
      })
      for (const code of new Set(codes)) this.#count(code === null ? 'accepted' : String(code ?? 'no answer'))
      // A call whose answer is not known may have been taken, whatever the next one says.
      if (codes.some((code) => code === undefined || (code !== null && !BY_THE_SPOOL.includes(code))))
        isDoubtful = true
      left = left.filter(({ accepted }) => accepted === null)
      if (left.length === 0) return
      if (isSingle && messages.length === 1 && !isDoubtful && random.chance(0.3)) {
        for (const message of left) message.isRefused = true
        return
      }
      await sleep(random.int(RETRY_PAUSE, 4 * RETRY_PAUSE))
    }
  }

  #single([message]: readonly Published[]): Promise<Answer> {
    if (message === undefined) throw new Error('there is none')
    const { key, random } = this.#options
    return this.#ask('/v1/feed', textOf(message), {
      'content-type': 'text/plain',
      'idempotency-key': idOf(message),
      'ordering-key': key,
      ...(random.chance(0.05) ? { prefer: 'wait=1' } : {}),
    })
  }

  #batch(messages: readonly Published[]): Promise<Answer> {
    const { key } = this.#options
    const lines = messages.map((message) => JSON.stringify({ data: textOf(message), id: idOf(message), key }))
    return this.#ask('/v1/feed/batch', `${lines.join('\n')}\n`, { 'content-type': 'application/x-ndjson' })
  }

  #ask(path: string, body: string, headers: Record<string, string>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          socketPath: this.#options.socketPath,
          path,
          method: 'POST',
          agent: this.#kept ?? false,
          headers: { ...headers, 'content-length': Buffer.byteLength(body) },
          signal: AbortSignal.timeout(ANSWER_BOUND),
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (piece: string) => {
            text += piece
          })
          response.on('error', reject)
          response.on('end', () => {
            try {
              resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) })
            } catch {
              reject(new Error(`no JSON: ${response.statusCode} ${text.slice(0, 100)}`))
            }
          })
        },
      )
      asked.on('error', reject)
      asked.end(body)
    })
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

/** For each message null where it is accepted, else the code; null for an answer that says neither. */
const resultsOf = ({ status, body }: Answer, count: number): (string | null)[] | null => {
  if (status !== 200 && status !== 202 && status !== 207)
    return typeof body.code === 'string' && status >= 500
      ? Array.from({ length: count }, () => String(body.code))
      : null
  if (!Array.isArray(body.results)) return typeof body.id === 'string' && count === 1 ? [null] : null
  return body.results.length === count ? body.results.map((each) => each.error?.code ?? null) : null
}

const textOf = ({ key, number }: Published): string => `${key} ${number}`
const idOf = ({ key, number }: Published): string => `${key}-${number}`
