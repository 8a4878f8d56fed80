// The body of a request, bounded: by what one may be, and by what all of them together may hold in memory.

import type { IncomingMessage } from 'node:http'
import { later, type Problem, problem } from './problem.js'

/** Bytes of requests that are being read or answered. What a request costs beside its body counts too. */
export class BodyBudget {
  readonly #max: number
  #used = 0

  constructor(max: number) {
    this.#max = max
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }

  get used(): number {
    return this.#used
  }
}

/** About what Node keeps of a request and its answer. */
const REQUEST_COST = 4_096

export interface BodyLimits {
  /** Bytes of this one. */
  max: number
  budget: BodyBudget
  /** To be told before a body is waited for, where the caller asked to be. */
  goOn: () => void
}

/** Has to be called once, when nothing of the body is needed any more. */
export type Release = () => void

/**
 * Reads it; exactly one of the three is called, once.
 *
 * A body that is refused is read on and thrown away, so that a caller that sends before it reads gets its answer.
 */
export const readBody = (
  request: IncomingMessage,
  { max, budget, goOn }: BodyLimits,
  done: (body: Buffer, release: Release) => void,
  refused: (why: Problem) => void,
  gone: () => void,
): void => {
  const announced = request.headers['content-length']
  if (announced !== undefined && Number(announced) > max) {
    refused(tooLarge(max))
    return
  }
  if (!budget.take(REQUEST_COST)) {
    refused(busy())
    return
  }
  let first: Buffer | null = null
  let chunks: Buffer[] | null = null
  let length = 0
  let taken = REQUEST_COST
  let isOver = false
  const release = (): void => {
    budget.give(taken)
    taken = 0
  }
  const refuse = (why: Problem): void => {
    isOver = true
    first = null
    chunks = null
    release()
    refused(why)
  }
  request.on('data', (chunk: Buffer) => {
    if (isOver) return
    length += chunk.length
    if (length > max) return refuse(tooLarge(max))
    if (!budget.take(chunk.length)) return refuse(busy())
    taken += chunk.length
    if (first === null) first = chunk
    else if (chunks === null) chunks = [first, chunk]
    else chunks.push(chunk)
  })
  request.on('end', () => {
    if (isOver) return
    isOver = true
    done(chunks === null ? (first ?? EMPTY) : Buffer.concat(chunks, length), release)
  })
  request.on('close', () => {
    if (isOver) return
    isOver = true
    release()
    gone()
  })
  goOn()
}

const EMPTY = Buffer.alloc(0)

const tooLarge = (max: number): Problem =>
  problem(413, 'FORKSAFE_ERR_RELAY_TOO_LARGE', `the body is larger than ${max} bytes`)

const busy = (): Problem =>
  later(503, 'FORKSAFE_ERR_RELAY_BUSY', 'the relay holds as many bytes of requests as it may; try again')
