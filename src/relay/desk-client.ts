// One request to the owner's desk. Who asks again, and for how long, is remote-door.ts; the operator's command asks once.

import { Agent, request } from 'node:http'

export interface DeskAnswer {
  status: number
  text: string
}

export interface DeskRequest {
  path: string
  body?: Buffer | string
  signal?: AbortSignal
}

/** Largest answer that is read: a full list with its bodies cut. */
const MAX_ANSWER = 64 * 1024 * 1024

export class DeskClient {
  readonly path: string
  readonly #agent: Agent

  constructor(path: string, { connections = 8 }: { connections?: number } = {}) {
    this.path = path
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections })
  }

  /** Rejects when there was no whole answer, for whatever reason. */
  ask({ path, body, signal }: DeskRequest): Promise<DeskAnswer> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.path,
        agent: this.#agent,
        path,
        method: body === undefined ? 'GET' : 'POST',
        ...(signal === undefined ? {} : { signal }),
        headers: body === undefined ? {} : { 'content-length': Buffer.byteLength(body) },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_ANSWER) response.destroy(new Error('the answer is too long'))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('close', () => reject(new Error('the answer was cut')))
        response.on('end', () => {
          if (response.complete)
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks, size).toString('utf8') })
        })
      })
      outgoing.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
